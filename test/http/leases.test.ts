import { randomBytes } from 'node:crypto'

import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { SealiftError } from '../../src/protocol/errors.ts'
import type { Limits, Media } from '../../src/protocol/schemas.ts'
import { createApi, newOwner, type Api } from '../support/api.ts'
import { RawConnection } from '../support/raw-http.ts'
import { replaceMethods } from '../support/replace-methods.ts'
import { startTestServer, type TestServer } from '../support/test-server.ts'

const BYTES = randomBytes(70_000)
const unreadable = () => Promise.reject(new SealiftError('damaged', 'The stored bytes are missing'))

let server: TestServer
let api: Api
let now = Date.now()

beforeAll(async () => {
  server = await startTestServer({}, { clock: () => now })
  api = createApi(server.url)
})
afterAll(() => server.stop())

const forward = async (mediaId: string, json = {}) => {
  const response = await api.call('forwardMedia', { mediaId }, { json })
  expect(response).toMatchObject({ status: 201 })
  return response.json as Media
}

describe('forwarding', () => {
  test('adds a lease with its own id, and charges the same client once', async () => {
    const media = await api.store(BYTES)
    const { usage } = (await api.call('limits', {})).json as Limits
    const lease = await forward(media.mediaId, { ttlSeconds: 60 })
    expect(lease.mediaId).not.toBe(media.mediaId)
    expect(lease.etag).toBe(media.etag)
    expect((await api.read(lease.mediaId)).body.equals(BYTES)).toBe(true)
    const { storedRows } = usage
    expect((await api.call('limits', {})).json).toMatchObject({ usage: { ...usage, storedRows: storedRows + 1 } })
  })

  test('keeps the bytes alive until the last lease ends', async () => {
    const mine = createApi(server.url, { owner: newOwner() })
    const { mediaId } = await mine.store(BYTES)
    const lease = (await mine.call('forwardMedia', { mediaId }, { json: {} })).json as Media
    expect((await mine.call('endLease', { mediaId })).status).toBe(204)
    expect(await mine.read(mediaId)).toMatchObject({ status: 410, code: 'gone' })
    expect((await mine.read(lease.mediaId)).body.equals(BYTES)).toBe(true)
    await mine.call('endLease', { mediaId: lease.mediaId })
    expect(await mine.read(lease.mediaId)).toMatchObject({ status: 410, code: 'gone' })
  })

  test('repeated with its Idempotency-Key adds one lease', async () => {
    const { mediaId } = await api.store(BYTES)
    const call = () => api.call('forwardMedia', { mediaId }, { json: {}, headers: { 'idempotency-key': 'forward-1' } })
    const first = await call()
    expect((await call()).json).toEqual(first.json)
  })
})

describe('a lease', () => {
  test.each([
    ['ends', async (mine: Api, mediaId: string) => void (await mine.call('endLease', { mediaId }))],
    ['lapses', async () => void (now += 3_601_000)],
  ])('of a small media that everybody asks for serves not one more when it %s', async (_, end) => {
    const small = BYTES.subarray(0, 30_000)
    const mine = createApi(server.url, { owner: newOwner() })
    const { mediaId } = await mine.store(small, { ttlSeconds: 3600 })
    for (let read = 0; read < 20; read += 1) expect((await mine.read(mediaId)).body.equals(small)).toBe(true)
    await end(mine, mediaId)
    expect(await mine.read(mediaId)).toMatchObject({ status: 410, code: 'gone' })
  })

  test('is ended by the holder of its owner secret alone, and again', async () => {
    const owner = newOwner()
    const { mediaId } = await createApi(server.url, { owner }).store(BYTES)
    expect(await api.call('endLease', { mediaId })).toMatchObject({ status: 404, code: 'not_found' })
    const other = createApi(server.url, { owner: newOwner() })
    expect(await other.call('endLease', { mediaId })).toMatchObject({ status: 404, code: 'not_found' })
    expect((await api.read(mediaId)).status).toBe(200)
    const mine = createApi(server.url, { owner })
    expect((await mine.call('endLease', { mediaId })).status).toBe(204)
    expect((await mine.call('endLease', { mediaId })).status).toBe(204)
  })

  test('with an owner secret that is too short to be one is refused', async () => {
    const weak = createApi(server.url, { owner: 'short' })
    const response = await weak.call('beginUpload', {}, { json: {} })
    expect(response).toMatchObject({ status: 400, code: 'invalid_request' })
  })

  test('ends when its time is over', async () => {
    const { mediaId } = await api.store(BYTES, { ttlSeconds: 60 })
    now += 59_000
    expect((await api.read(mediaId)).status).toBe(200)
    now += 1000
    expect(await api.read(mediaId)).toMatchObject({ status: 410, code: 'gone' })
    expect(await api.call('mediaInfo', { mediaId })).toMatchObject({ status: 410, code: 'gone' })
    expect((await api.call('headMedia', { mediaId })).status).toBe(410)
    expect(await api.call('forwardMedia', { mediaId }, { json: {} })).toMatchObject({ status: 410, code: 'gone' })
  })
})

describe('a media item that is deleted or expires while it is read', () => {
  const SIZE = 64 * 2 ** 20

  test.each(['deleted', 'expired'])('%s: never a short 200', async how => {
    const bytes = randomBytes(SIZE)
    const mine = createApi(server.url, { owner: newOwner() })
    const { mediaId } = await mine.store(bytes, { ttlSeconds: 600 })
    await using reader = await RawConnection.open(server.url)
    reader.socket.pause()
    reader.head(`GET /v1/media/${mediaId} HTTP/1.1`, 'Host: localhost')
    while (((await api.call('limits', {})).json as Limits).usage.downloads === 0);
    if (how === 'deleted') await mine.call('endLease', { mediaId })
    else now += 600_000
    expect((await api.read(mediaId)).status).toBe(410)
    reader.socket.resume()
    const response = await reader.response()
    expect(response?.status).toBe(200)
    expect(response?.cut || response?.body.equals(bytes)).toBe(true)
  })
})

describe('maxDownloads', () => {
  const grantOf = (response: { headers: Readonly<Record<string, string>> }) =>
    response.headers['sealift-download'] ?? ''

  test('threat 61: is counted exactly under parallel requests', async () => {
    const { mediaId } = await api.store(BYTES, { maxDownloads: 5 })
    const responses = await Promise.all(Array.from({ length: 40 }, () => api.read(mediaId)))
    expect(responses.filter(({ status }) => status === 200)).toHaveLength(5)
    expect(responses.filter(({ code }) => code === 'downloads_exhausted')).toHaveLength(35)
    expect((await api.call('mediaInfo', { mediaId })).json).toMatchObject({ maxDownloads: 5, downloadsLeft: 0 })
  })

  test('counts all ranges under one grant as one download', async () => {
    const { mediaId } = await api.store(BYTES, { maxDownloads: 1 })
    const first = await api.read(mediaId, { range: 'bytes=0-999' })
    const grant = { 'sealift-download': grantOf(first) }
    expect(first.status).toBe(206)
    const rest = await api.read(mediaId, { range: 'bytes=1000-', ...grant })
    expect(Buffer.concat([first.body, rest.body]).equals(BYTES)).toBe(true)
    expect((await api.read(mediaId, grant)).status).toBe(200)
    expect(await api.read(mediaId)).toMatchObject({ status: 410, code: 'downloads_exhausted' })
    const made = { 'sealift-download': 'b'.repeat(26) }
    expect(await api.read(mediaId, made)).toMatchObject({ status: 410, code: 'downloads_exhausted' })
  })

  test('does not take the grant of another media', async () => {
    const one = await api.store(BYTES, { maxDownloads: 1 })
    const two = await api.store(BYTES, { maxDownloads: 1 })
    const grant = { 'sealift-download': grantOf(await api.read(one.mediaId)) }
    await api.read(two.mediaId)
    expect(await api.read(two.mediaId, grant)).toMatchObject({ code: 'downloads_exhausted' })
  })

  test('lets a grant lapse', async () => {
    const { mediaId } = await api.store(BYTES, { maxDownloads: 1 })
    const grant = { 'sealift-download': grantOf(await api.read(mediaId)) }
    now += 86_399_000
    expect((await api.read(mediaId, grant)).status).toBe(200)
    now += 2000
    expect(await api.read(mediaId, grant)).toMatchObject({ code: 'downloads_exhausted' })
  })

  test('is not used by asking for headers or facts, by 304 or 416', async () => {
    const { mediaId, etag } = await api.store(BYTES, { maxDownloads: 1 })
    await api.call('headMedia', { mediaId })
    expect((await api.read(mediaId, { 'if-none-match': etag })).status).toBe(304)
    expect((await api.read(mediaId, { range: 'bytes=999999-' })).status).toBe(416)
    expect((await api.call('mediaInfo', { mediaId })).json).toMatchObject({ downloadsLeft: 1 })
    expect((await api.read(mediaId)).status).toBe(200)
    expect((await api.call('headMedia', { mediaId })).status).toBe(410)
  })

  test('is not used by a download that could not move a byte', async () => {
    await using broken = await startTestServer(
      {},
      { wrap: stores => ({ ...stores, blobs: replaceMethods(stores.blobs, { read: unreadable }) }) },
    )
    const there = createApi(broken.url)
    const { mediaId } = await there.store(BYTES, { maxDownloads: 1 })
    expect(await there.read(mediaId)).toMatchObject({ status: 500, code: 'damaged' })
    expect((await there.call('mediaInfo', { mediaId })).json).toMatchObject({ downloadsLeft: 1 })
  })
})

import { randomBytes } from 'node:crypto'

import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { createApi, type Api } from '../support/api.ts'
import { RawConnection } from '../support/raw-http.ts'
import { startTestServer, type TestServer } from '../support/test-server.ts'

const PART = 256 * 1024
const BYTES = randomBytes(3 * PART + 50)
const PARTS = [0, 1, 2, 3].map(index => BYTES.subarray(index * PART, (index + 1) * PART))

let server: TestServer
let api: Api

beforeAll(async () => {
  server = await startTestServer({ transfer: { partBytes: PART } })
  api = createApi(server.url)
})
afterAll(() => server.stop())

async function get(mediaId: string, ...headers: string[]): Promise<RawConnection> {
  const connection = await RawConnection.open(server.url)
  return connection.head(`GET /v1/media/${mediaId} HTTP/1.1`, 'Host: localhost', ...headers)
}

const put = async (uploadId: string, ...indices: number[]) => {
  for (const index of indices) await api.putPart(uploadId, index, PARTS[index] ?? Buffer.alloc(0))
}

describe('a media item that is still being uploaded', () => {
  test('streams what is durable and follows, up to its declared size', async () => {
    const { uploadId, mediaId } = await api.begin({ json: { sizeBytes: BYTES.length } })
    await put(uploadId, 0)
    await using reader = await get(mediaId)
    await reader.until(() => reader.received.length > PART)
    expect(reader.received.toString('latin1')).toMatch(new RegExp(`\r\ncontent-length: ${BYTES.length}\r\n`, 'i'))
    await put(uploadId, 3, 2, 1)
    const response = await reader.response()
    expect(response).toMatchObject({ status: 200, cut: false, headers: { 'sealift-state': 'uploading' } })
    expect(response?.body.equals(BYTES)).toBe(true)
  })

  test('of unknown size streams in chunks until it is complete', async () => {
    const { uploadId, mediaId } = await api.begin()
    await using reader = await get(mediaId)
    await put(uploadId, 1, 0)
    await reader.until(() => reader.received.length > 2 * PART)
    await put(uploadId, 2, 3)
    await api.complete(uploadId, BYTES.length)
    const response = await reader.response()
    expect(response).toMatchObject({ status: 200, cut: false, headers: { 'transfer-encoding': 'chunked' } })
    expect(response?.body.equals(BYTES)).toBe(true)
  })

  test('keeps its validator when it becomes complete', async () => {
    const { uploadId, mediaId } = await api.begin({ json: { sizeBytes: PART } })
    const before = await api.call('headMedia', { mediaId })
    expect(before.headers).toMatchObject({ 'sealift-state': 'uploading', 'cache-control': 'private, no-store' })
    await put(uploadId, 0)
    await api.complete(uploadId, PART)
    const after = await api.call('headMedia', { mediaId })
    expect(after.headers).toMatchObject({ 'sealift-state': 'complete', etag: before.headers['etag'] })
  })

  test('tells how much of it can be read', async () => {
    const { uploadId, mediaId } = await api.begin()
    await put(uploadId, 0, 2)
    const info = await api.call('mediaInfo', { mediaId })
    expect(info.json).toMatchObject({ state: 'uploading', durableBytes: PART })
    expect(info.json).not.toHaveProperty('sizeBytes')
    const head = await api.call('headMedia', { mediaId })
    expect(head.headers).not.toHaveProperty('content-length')
  })

  test('of declared size responses a range ahead of the sender when its bytes arrive', async () => {
    const { uploadId, mediaId } = await api.begin({ json: { sizeBytes: BYTES.length } })
    await using reader = await get(mediaId, `Range: bytes=${PART}-${2 * PART + 9}`)
    await put(uploadId, 2, 1, 0)
    const response = await reader.response()
    expect(response).toMatchObject({ status: 206, cut: false })
    expect(response?.headers['content-range']).toBe(`bytes ${PART}-${2 * PART + 9}/${BYTES.length}`)
    expect(response?.body.equals(BYTES.subarray(PART, 2 * PART + 10))).toBe(true)
  })

  test('of unknown size responses a range with what is durable of it by now', async () => {
    const { uploadId, mediaId } = await api.begin()
    await put(uploadId, 0)
    const response = await api.read(mediaId, { range: `bytes=10-${2 * PART}` })
    expect(response.status).toBe(206)
    expect(response.headers['content-range']).toBe(`bytes 10-${PART - 1}/*`)
    expect(response.body.equals(BYTES.subarray(10, PART))).toBe(true)
  })

  test('of unknown size waits for the first byte of a range', async () => {
    const { uploadId, mediaId } = await api.begin()
    await put(uploadId, 0)
    const waiting = api.read(mediaId, { range: `bytes=${PART}-` })
    await put(uploadId, 1)
    const response = await waiting
    expect(response.headers['content-range']).toBe(`bytes ${PART}-${2 * PART - 1}/*`)
    const tooFar = api.read(mediaId, { range: `bytes=${10 * PART}-` })
    await put(uploadId, 2, 3)
    await api.complete(uploadId, BYTES.length)
    expect(await tooFar).toMatchObject({ status: 416, code: 'range_not_satisfiable' })
  })

  test('of unknown size comes whole when its last bytes are asked for', async () => {
    const { uploadId, mediaId } = await api.begin()
    const waiting = api.read(mediaId, { range: 'bytes=-5' })
    await put(uploadId, 0)
    await api.complete(uploadId, PART)
    expect(await waiting).toMatchObject({ status: 200 })
  })

  test('of unknown size is not for HTTP/1.0, which could not tell its end from a cut', async () => {
    const { mediaId } = await api.begin()
    await using old = await RawConnection.open(server.url)
    old.head(`GET /v1/media/${mediaId} HTTP/1.0`)
    expect(await old.response()).toMatchObject({ status: 409 })
  })

  test.each([
    ['with a declared size', BYTES.length],
    ['of unknown size', undefined],
  ])('cuts its readers when it is given up: %s', async (_, sizeBytes) => {
    const { uploadId, mediaId } = await api.begin({ json: sizeBytes === undefined ? {} : { sizeBytes } })
    await put(uploadId, 0)
    await using reader = await get(mediaId)
    await reader.until(() => reader.received.length > PART)
    await api.call('abortUpload', { uploadId })
    const response = await reader.response()
    expect(response).toMatchObject({ status: 200, cut: true })
    expect(response?.body.equals(BYTES.subarray(0, PART))).toBe(true)
  })

  test('returns a reader who has got nothing yet that it was given up', async () => {
    const { uploadId, mediaId } = await api.begin({ json: { sizeBytes: PART } })
    const waiting = api.read(mediaId)
    await api.call('mediaInfo', { mediaId })
    await api.call('abortUpload', { uploadId })
    expect(await waiting).toMatchObject({ status: 410, code: 'gone' })
  })

  test('cannot be forwarded yet', async () => {
    const { mediaId } = await api.begin()
    const response = await api.call('forwardMedia', { mediaId }, { json: {} })
    expect(response).toMatchObject({ status: 409, code: 'upload_in_progress' })
  })

  test('frees the slot of a follower that goes away', async () => {
    const { mediaId } = await api.begin()
    const reader = await get(mediaId)
    const downloads = async () =>
      ((await api.call('limits', {})).json as { usage: { downloads: number } }).usage.downloads
    while ((await downloads()) !== 1);
    reader.socket.destroy()
    while ((await downloads()) !== 0);
    expect(await downloads()).toBe(0)
  })
})

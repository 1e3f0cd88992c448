import { randomBytes } from 'node:crypto'

import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import type { Media, Parcel } from '../../src/protocol/schemas.ts'
import { createApi, newOwner, type Reply, type Api } from '../support/api.ts'
import { eventually } from '../support/eventually.ts'
import { startTestServer, type TestServer } from '../support/test-server.ts'

let server: TestServer
let api: Api
let reader: Api

beforeAll(async () => {
  server = await startTestServer({
    transfer: { parcelWaitMax: '20s' },
    tiers: { default: { manifestBytes: '64KiB', queue: 20 } },
  })
  api = createApi(server.url, { owner: newOwner() })
  reader = createApi(server.url)
})
afterAll(() => server.stop())

const encode = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64url')

async function publish(manifest: Uint8Array, media: string[] = []): Promise<Parcel> {
  const response = await api.call('publishParcel', {}, { json: { manifest: encode(manifest), media } })
  expect(response).toMatchObject({ status: 201, headers: { etag: '"1"' } })
  return response.json as Parcel
}

const replace = (parcelId: string, version: number | null, manifest: Uint8Array, media: string[] = [], by = api) =>
  by.call(
    'replaceManifest',
    { parcelId },
    {
      json: { manifest: encode(manifest), media },
      headers: version === null ? {} : { 'if-match': `"${version}"` },
    },
  )

const read = (parcelId: string, headers: Record<string, string> = {}) =>
  reader.call('readParcel', { parcelId }, { headers })

describe('a parcel', () => {
  test('gives its manifest to whoever knows its id, as opaque bytes', async () => {
    const manifest = randomBytes(5000)
    const { parcelId, version } = await publish(manifest)
    expect(version).toBe(1)
    const response = await read(parcelId)
    expect(response.body.equals(manifest)).toBe(true)
    expect(response.headers).toMatchObject({
      etag: '"1"',
      'sealift-version': '1',
      'content-type': 'application/octet-stream',
      'x-content-type-options': 'nosniff',
      'cache-control': 'private, no-cache',
    })
  })

  test('grows by versions, each made from the one before', async () => {
    const { parcelId } = await publish(randomBytes(10))
    const second = randomBytes(20)
    expect(await replace(parcelId, 1, second)).toMatchObject({
      status: 200,
      json: { version: 2 },
      headers: { etag: '"2"' },
    })
    expect(await read(parcelId)).toMatchObject({ body: second, headers: { etag: '"2"', 'sealift-version': '2' } })
    const late = await replace(parcelId, 1, randomBytes(30))
    expect(late).toMatchObject({ status: 412, code: 'version_mismatch', json: { version: 2 } })
    expect((await read(parcelId)).body.equals(second)).toBe(true)
  })

  test('lets one of many win when they replace the same version', async () => {
    const { parcelId } = await publish(randomBytes(10))
    const responses = await Promise.all(Array.from({ length: 10 }, () => replace(parcelId, 1, randomBytes(10))))
    expect(responses.filter(({ status }) => status === 200)).toHaveLength(1)
    expect(responses.filter(({ code }) => code === 'version_mismatch')).toHaveLength(9)
  })

  test('is replaced only by one who says which version it replaces', async () => {
    const { parcelId } = await publish(randomBytes(10))
    expect(await replace(parcelId, null, randomBytes(1))).toMatchObject({ status: 428, code: 'precondition_required' })
    const any = await api.call(
      'replaceManifest',
      { parcelId },
      { json: { manifest: 'YQ', media: [] }, headers: { 'if-match': '*' } },
    )
    expect(any).toMatchObject({ status: 400, code: 'invalid_request' })
  })

  test('belongs to its owner', async () => {
    const { parcelId } = await publish(randomBytes(10))
    const other = createApi(server.url, { owner: newOwner() })
    expect(await replace(parcelId, 1, randomBytes(1), [], other)).toMatchObject({ status: 404, code: 'not_found' })
    expect(await other.call('endParcel', { parcelId })).toMatchObject({ status: 404, code: 'not_found' })
    expect(await reader.call('endParcel', { parcelId })).toMatchObject({ status: 404, code: 'not_found' })
    expect((await read(parcelId)).status).toBe(200)
  })

  test('ends with the leases it covers', async () => {
    const { mediaId } = await api.store(randomBytes(100))
    const { parcelId } = await publish(randomBytes(10), [mediaId])
    expect((await api.call('endParcel', { parcelId })).status).toBe(204)
    expect((await api.call('endParcel', { parcelId })).status).toBe(204)
    expect(await read(parcelId)).toMatchObject({ status: 410, code: 'gone' })
    expect(await reader.read(mediaId)).toMatchObject({ status: 410, code: 'gone' })
    expect(await replace(parcelId, 1, randomBytes(1))).toMatchObject({ status: 410, code: 'gone' })
  })

  test('covers only media of the same owner, and drops none', async () => {
    const mine = await api.store(randomBytes(100))
    const foreign = await createApi(server.url, { owner: newOwner() }).store(randomBytes(100))
    const response = await api.call('publishParcel', {}, { json: { manifest: 'YQ', media: [foreign.mediaId] } })
    expect(response).toMatchObject({ status: 404, code: 'not_found' })
    const { parcelId } = await publish(randomBytes(10), [mine.mediaId])
    expect(await replace(parcelId, 1, randomBytes(10), [])).toMatchObject({ status: 400, code: 'invalid_request' })
    expect((await replace(parcelId, 1, randomBytes(10), [mine.mediaId])).status).toBe(200)
  })

  test('is limited in its size by the tier', async () => {
    const json = { manifest: encode(randomBytes(64 * 1024 + 1)), media: [] }
    const response = await api.call('publishParcel', {}, { json })
    expect(response).toMatchObject({ status: 413, code: 'too_large', json: { limit: 'manifestBytes', value: 65_536 } })
    const huge = { manifest: 'a'.repeat(2_000_000), media: [] }
    expect(await api.call('publishParcel', {}, { json: huge })).toMatchObject({ status: 413, code: 'too_large' })
    expect((await publish(randomBytes(64 * 1024))).version).toBe(1)
  })

  test('repeated with its Idempotency-Key is the same parcel', async () => {
    const call = () =>
      api.call('publishParcel', {}, { json: { manifest: 'YQ', media: [] }, headers: { 'idempotency-key': 'p-1' } })
    const first = await call()
    expect((await call()).json).toEqual(first.json)
  })

  test('that never existed returns 404', async () => {
    expect(await read('a'.repeat(26))).toMatchObject({ status: 404, code: 'not_found' })
    expect(await replace('a'.repeat(26), 1, randomBytes(1))).toMatchObject({ status: 404, code: 'not_found' })
  })
})

describe('waiting for the next version', () => {
  test('is over as soon as it is published', async () => {
    const { parcelId } = await publish(randomBytes(10))
    const waiting = read(parcelId, { 'if-none-match': '"1"', prefer: 'wait=20' })
    const next = randomBytes(11)
    await replace(parcelId, 1, next)
    const response = await waiting
    expect(response).toMatchObject({ status: 200, headers: { etag: '"2"', 'preference-applied': 'wait=20' } })
    expect(response.body.equals(next)).toBe(true)
  })

  test('returns 304 when its time is over, or at once without a time', async () => {
    const { parcelId } = await publish(randomBytes(10))
    expect(await read(parcelId, { 'if-none-match': '"1"' })).toMatchObject({ status: 304, headers: { etag: '"1"' } })
    const waited = await read(parcelId, { 'if-none-match': '"1"', prefer: 'wait=1' })
    expect(waited).toMatchObject({ status: 304, headers: { etag: '"1"', 'preference-applied': 'wait=1' } })
    expect((await read(parcelId, { 'if-none-match': '"0"', prefer: 'wait=20' })).status).toBe(200)
  })

  test('waits no longer than the operator allows', async () => {
    await using impatient = await startTestServer({ transfer: { parcelWaitMax: '100ms' } })
    const there = createApi(impatient.url)
    const made = await there.call('publishParcel', {}, { json: { manifest: 'YQ', media: [] } })
    const { parcelId } = made.json as Parcel
    const headers = { 'if-none-match': '"1"', prefer: 'wait=9999' }
    expect((await there.call('readParcel', { parcelId }, { headers })).status).toBe(304)
  })

  test('ends when the parcel ends', async () => {
    const { parcelId } = await publish(randomBytes(10))
    const waiting = read(parcelId, { 'if-none-match': '"1"', prefer: 'wait=20' })
    await api.call('endParcel', { parcelId })
    expect(await waiting).toMatchObject({ status: 410, code: 'gone' })
  })

  test('is for a bounded number of readers, whose places are free when they go', async () => {
    const { parcelId } = await publish(randomBytes(10))
    const gone = new AbortController()
    const wait = (signal?: AbortSignal) =>
      reader.call(
        'readParcel',
        { parcelId },
        { headers: { 'if-none-match': '"1"', prefer: 'wait=20' }, ...(signal ? { signal } : {}) },
      )
    const refused: Reply[] = []
    const crowd = Array.from({ length: 25 }, () => wait(gone.signal).then(response => refused.push(response)))
    await eventually('those who are too many are refused', () => refused.length >= 5)
    expect(refused).toHaveLength(5)
    expect(refused[0]).toMatchObject({ status: 429, code: 'too_many_downloads', json: { limit: 'queue', value: 20 } })
    gone.abort()
    await Promise.allSettled(crowd)
    await eventually('a place is free', async () => {
      const probe = await wait(AbortSignal.timeout(100)).catch(() => null)
      return probe === null
    })
    const waiting = wait()
    await replace(parcelId, 1, randomBytes(3))
    expect((await waiting).status).toBe(200)
  })
})

test('a media item of a parcel can be read by its id', async () => {
  const bytes = randomBytes(100)
  const media: Media = await api.store(bytes)
  await publish(randomBytes(10), [media.mediaId])
  expect((await reader.read(media.mediaId)).body.equals(bytes)).toBe(true)
})

import { createHash, randomBytes } from 'node:crypto'

import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { formatContentDigest } from '../../src/protocol/headers.ts'
import type { Limits } from '../../src/protocol/schemas.ts'
import { createApi, OCTETS, type Api } from '../support/api.ts'
import { replaceMethods } from '../support/replace-methods.ts'
import { startTestServer, type TestServer } from '../support/test-server.ts'

const PART = 256 * 1024
const KiB = 1024

let server: TestServer
let api: Api

beforeAll(async () => {
  server = await startTestServer({
    transfer: { partBytes: PART },
    tiers: { default: { storedBytes: '8MiB', maxBytes: { image: '300KiB' } } },
  })
  api = createApi(server.url)
})
afterAll(() => server.stop())

async function* pieces(bytes: Uint8Array, size = 10_000): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < bytes.length; start += size) yield bytes.subarray(start, start + size)
}

/** Rows of what failed stay counted until they are purged. */
const usage = async () => ({ ...((await api.call('limits', {})).json as Limits).usage, storedRows: 0 })
const chunked = (bytes: Uint8Array, query = {}) =>
  api.call('storeMedia', {}, { body: pieces(bytes) as never, query, headers: OCTETS })

describe('a media item in one request', () => {
  test.each([1, 100, PART - 1, PART, PART + 1, 3 * PART + 7])('of %i bytes comes back the same', async size => {
    const bytes = randomBytes(size)
    const media = await api.store(bytes)
    expect(media).toMatchObject({ state: 'complete', sizeBytes: size, durableBytes: size })
    expect((await api.read(media.mediaId)).body.equals(bytes)).toBe(true)
    await api.call('endLease', { mediaId: media.mediaId })
  })

  test.each([1, 64 * KiB, 64 * KiB + 1, PART, 2 * PART + 9])('of untold length, %i bytes, too', async size => {
    const bytes = randomBytes(size)
    const response = await chunked(bytes)
    expect(response).toMatchObject({ status: 201, json: { sizeBytes: size } })
    const { mediaId } = response.json as { mediaId: string }
    expect((await api.read(mediaId)).body.equals(bytes)).toBe(true)
    expect(await usage()).toMatchObject({ reservedBytes: 0, pendingUploads: 0 })
  })

  test('may tell its kind, life and downloads in the query', async () => {
    const media = await api.store(randomBytes(5), { kind: 'audio', ttlSeconds: 60, maxDownloads: 2 })
    expect(media).toMatchObject({ maxDownloads: 2, downloadsLeft: 2 })
    expect(Date.parse(media.expiresAt) - Date.parse(media.createdAt)).toBe(60_000)
  })

  test.each([{ kind: 'film' }, { ttlSeconds: 'x' }, { ttlSeconds: 0 }, { size: 1 }])(
    'with a query that is not documented is refused: %o',
    async query => {
      const response = await api.call('storeMedia', {}, { body: Buffer.from('a'), query, headers: OCTETS })
      expect(response).toMatchObject({ status: 400, code: 'invalid_request' })
    },
  )

  test('without bytes is refused', async () => {
    const response = await api.call('storeMedia', {}, { body: Buffer.alloc(0), headers: OCTETS })
    expect(response).toMatchObject({ status: 400, code: 'invalid_request' })
    expect(await chunked(Buffer.alloc(0))).toMatchObject({ status: 400, code: 'invalid_request' })
  })

  test('with a wrong digest leaves nothing behind', async () => {
    const before = await usage()
    const bytes = randomBytes(PART + 1)
    const sha256 = createHash('sha256').update(bytes).digest('base64')
    const send = (body: Uint8Array) =>
      api.call('storeMedia', {}, { body, headers: { ...OCTETS, 'content-digest': formatContentDigest(sha256) } })
    expect(await send(randomBytes(PART + 1))).toMatchObject({ status: 422, code: 'digest_mismatch' })
    expect(await usage()).toEqual(before)
    expect(await send(bytes)).toMatchObject({ status: 201 })
  })

  test('of another content type is refused', async () => {
    const response = await api.call('storeMedia', {}, { body: 'hello', headers: { 'content-type': 'image/png' } })
    expect(response).toMatchObject({ status: 415, code: 'unsupported_media_type' })
  })

  test('repeated with its Idempotency-Key is the same media, stored once', async () => {
    const bytes = randomBytes(PART + 3)
    const headers = { 'idempotency-key': 'store-1' }
    const first = await api.store(bytes, {}, headers)
    const before = await usage()
    expect(await api.store(bytes, {}, headers)).toEqual(first)
    expect(await usage()).toEqual(before)
  })

  test('completed while it is being repeated is the same media for both requests', async () => {
    const { promise: repeated, resolve: repeat } = Promise.withResolvers<void>()
    const { promise: completed, resolve: complete } = Promise.withResolvers<void>()
    await using server = await startTestServer(
      {},
      {
        wrap: ({ blobs, records }) => ({
          blobs,
          records: replaceMethods(records, {
            // The second request is about to give the upload up when the first one completes it.
            finishInOneStep: async (...args) => {
              await repeated
              return records.finishInOneStep(...args).finally(complete)
            },
            abortUpload: async (...args) => {
              repeat()
              await completed
              return records.abortUpload(...args)
            },
          }),
        }),
      },
    )
    const bytes = randomBytes(100)
    const store = () => createApi(server.url).store(bytes, {}, { 'idempotency-key': 'store-at-once' })
    const [first, second] = await Promise.all([store(), store()])
    expect(second).toEqual(first)
  })

  test('that failed may be repeated with its Idempotency-Key', async () => {
    const bytes = randomBytes(PART)
    const sha256 = createHash('sha256').update(bytes).digest('base64')
    const headers = { ...OCTETS, 'idempotency-key': 'store-2', 'content-digest': formatContentDigest(sha256) }
    expect((await api.call('storeMedia', {}, { body: randomBytes(PART), headers })).status).toBe(422)
    const again = await api.call('storeMedia', {}, { body: bytes, headers })
    expect(again.status).toBe(201)
    expect((await api.read((again.json as { mediaId: string }).mediaId)).body.equals(bytes)).toBe(true)
  })
})

describe('threat 54: a body of untold length', () => {
  test('is stopped at the cap of its kind, and frees what it had reserved', async () => {
    const before = await usage()
    const response = await chunked(randomBytes(400 * KiB), { kind: 'image' })
    expect(response).toMatchObject({ status: 413, code: 'too_large' })
    expect(await usage()).toEqual(before)
  })

  test('is stopped at the quota, to the byte', async () => {
    const { storedBytes } = await usage()
    const left = 8 * KiB * KiB - storedBytes
    const before = await usage()
    expect(await chunked(randomBytes(left + 1))).toMatchObject({ status: 413, code: 'quota_exceeded' })
    expect(await usage()).toEqual(before)
    const fits = await chunked(randomBytes(left - (left % PART) - PART))
    expect(fits.status).toBe(201)
  })
})

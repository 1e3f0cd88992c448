import { createHash } from 'node:crypto'

import * as fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { MAX_PART_INDEX } from '../../src/protocol/ids.ts'
import { KINDS, type Kind } from '../../src/protocol/schemas.ts'
import { createApi, type Api } from '../support/api.ts'
import { onCluster } from '../support/cluster-stores.ts'
import { replaceMethods } from '../support/replace-methods.ts'
import { storedMedia } from '../support/stored-bytes.ts'
import { startTestServer, type TestServer } from '../support/test-server.ts'

const PART = 256 * 1024
const MAX_BYTES: Readonly<Record<Kind, number>> = {
  image: PART - 1,
  video: 8 * PART,
  audio: 3 * PART + 5,
  document: 100 * PART,
  other: PART,
}
const PENDING_BYTES = 6 * PART
const capOf = (kind: Kind) => Math.min(MAX_BYTES[kind], PENDING_BYTES)

const index = fc.oneof(fc.nat({ max: 12 }), fc.nat({ max: MAX_PART_INDEX }), fc.constantFrom(MAX_PART_INDEX, 2 ** 20))
const kind = fc.constantFrom(...KINDS)
const sizeBytes = fc.oneof(fc.constant(PART), fc.constant(1), fc.integer({ min: 1, max: PART }))

let server: TestServer
let api: Api

// Only a store of its own kind gives out presigned URLs.
const storage = onCluster ? { storage: { transfer: 'direct' } } : {}

beforeAll(async () => {
  server = await startTestServer({
    ...storage,
    transfer: { partBytes: PART },
    tiers: { default: { maxBytes: MAX_BYTES, pendingBytes: PENDING_BYTES, requestsPerSecond: 0 } },
  })
  api = createApi(server.url)
})
afterAll(() => server.stop())

const longestStored = async () => {
  const sizes = await Promise.all((await storedMedia(server.live.current)).map(async it => (await it.read()).length))
  return Math.max(0, ...sizes)
}

describe('threat 51: the place of a part is bounded before a byte of it is written', () => {
  test('at any index, without a declared size', async () => {
    await fc.assert(
      fc.asyncProperty(kind, index, sizeBytes, async (kind, index, sizeBytes) => {
        const { uploadId } = await api.begin({ json: { kind } })
        const response = await api.putPart(uploadId, index, Buffer.alloc(sizeBytes))
        const within = index * PART + sizeBytes <= capOf(kind)
        expect(response).toMatchObject(within ? { status: 204 } : { status: 413, code: 'too_large' })
        expect(await longestStored()).toBeLessThanOrEqual(PENDING_BYTES)
        await api.call('abortUpload', { uploadId })
      }),
      { numRuns: 40 },
    )
  })

  test('at any index, with a declared size', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: PENDING_BYTES }), index, async (declared, index) => {
        const { uploadId } = await api.begin({ json: { kind: 'document', sizeBytes: declared } })
        const length = Math.min(PART, declared - index * PART)
        const response = await api.putPart(uploadId, index, Buffer.alloc(length > 0 ? length : 1))
        expect(response).toMatchObject(length > 0 ? { status: 204 } : { status: 409, code: 'size_mismatch' })
        await api.call('abortUpload', { uploadId })
      }),
      { numRuns: 20 },
    )
    expect(await longestStored()).toBeLessThanOrEqual(PENDING_BYTES)
  })

  test('at any index, by a presigned URL', async () => {
    await fc.assert(
      fc.asyncProperty(kind, index, sizeBytes, async (kind, index, sizeBytes) => {
        const { uploadId } = await api.begin({ json: { kind } })
        const md5 = createHash('md5').update(Buffer.alloc(sizeBytes)).digest('base64')
        const within = index * PART + sizeBytes <= capOf(kind)
        for (const name of ['directPart', 'confirmPart'] as const) {
          const response = await api.call(name, { uploadId, index }, { json: { sizeBytes, md5 } })
          const accepted = name === 'directPart' ? null : 'parts_missing'
          expect(response.code).toBe(!onCluster ? 'not_direct' : within ? accepted : 'too_large')
        }
        await api.call('abortUpload', { uploadId })
      }),
      { numRuns: onCluster ? 20 : 3 },
    )
  })

  test('an index that no upload has is refused by name, whatever it is made of', async () => {
    const { uploadId } = await api.begin()
    for (const index of [MAX_PART_INDEX + 1, 2 ** 53, '1e3', '-1', '01', '0x1', '1.0', ' 1', '٣']) {
      const response = await api.putPart(uploadId, index as number, Buffer.alloc(1))
      expect(response, String(index)).toMatchObject({ status: 400, code: 'invalid_request' })
    }
  })

  test('parts are large enough for the last one to have an index', async () => {
    const freeSpace = () => Promise.resolve({ freeBytes: 200 * 2 ** 40, totalBytes: 400 * 2 ** 40 })
    await using large = await startTestServer(
      { tiers: { default: { maxBytes: { other: '100TiB' }, pendingBytes: '100TiB', storedBytes: '100TiB' } } },
      { wrap: stores => ({ ...stores, blobs: replaceMethods(stores.blobs, { freeSpace }) }) },
    )
    const begin = (sizeBytes: number) => createApi(large.url).begin({ json: { sizeBytes, partBytes: PART } })
    expect((await begin(PART * (MAX_PART_INDEX + 1))).partBytes).toBe(PART)
    expect((await begin(PART * (MAX_PART_INDEX + 1) + 1)).partBytes).toBe(2 * PART)
  })

  test('a size beyond the cap cannot be completed, and the refusal says so', async () => {
    const { uploadId } = await api.begin({ json: { kind: 'audio' } })
    await api.putPart(uploadId, 0, Buffer.alloc(PART))
    for (const size of [MAX_BYTES.audio + 1, Number.MAX_SAFE_INTEGER]) {
      const response = await api.complete(uploadId, size)
      expect(response).toMatchObject({ status: 413, code: 'too_large' })
      expect(response.json).toMatchObject({ limit: 'maxBytes', value: MAX_BYTES.audio })
    }
    expect((await api.complete(uploadId, PART)).status).toBe(200)
  })

  test('a range that begins behind everything that can be stored is not waited for', async () => {
    const { mediaId } = await api.begin()
    const response = await api.read(mediaId, { range: `bytes=${'9'.repeat(40)}-` })
    expect(response).toMatchObject({ status: 416, code: 'range_not_satisfiable' })
  })
})

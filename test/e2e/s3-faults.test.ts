/** What clients are told, and what is kept, when the S3 service fails: F9 to F14 of the faults that are planned for. */
import { DeleteObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3'
import { createHash } from 'node:crypto'

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'

import * as schemas from '../../src/protocol/schemas.ts'
import { createS3Client, type S3Connection } from '../../src/server/blobs/s3/s3-client.ts'
import { createApi, type Api } from '../support/api.ts'
import { cephEngine } from '../support/engines/ceph.ts'
import { sharedEngine } from '../support/engines/shared.ts'
import { eventually } from '../support/eventually.ts'
import { bytesFor } from '../support/random.ts'
import { makeBucket, objectsIn, s3Settings } from '../support/s3-bucket.ts'
import { startS3FaultProxy, type S3Call, type S3Fault, type S3FaultProxy } from '../support/s3-fault-proxy.ts'
import { startTestServer, type TestServer } from '../support/test-server.ts'

const PART = 256 * 1024
const bytes = bytesFor('faults of the service', 3 * PART)
const part = (index: number): Uint8Array => bytes.subarray(index * PART, (index + 1) * PART)
const OWNER = 'an-owner-secret-while-s3-fails'

let bucket: S3Connection
let proxy: S3FaultProxy
let server: TestServer
let api: Api

beforeAll(async () => {
  bucket = { ...(await makeBucket(await sharedEngine(cephEngine))), prefix: 'faults/' }
  proxy = await startS3FaultProxy(bucket.endpoint)
  const s3 = { ...s3Settings(bucket), endpoint: proxy.url, requestTimeout: '500ms' }
  server = await startTestServer({
    storage: { kind: 's3', transfer: 'direct', directUrlTtl: '10s', s3 },
    transfer: { partBytes: PART },
    upkeep: { sweepEvery: '200ms', orphanGrace: '1s' },
    tiers: { default: { concurrentUploads: 2, concurrentDownloads: 2, queue: 0 } },
  })
  api = createApi(server.url, { owner: OWNER })
}, 120_000)

beforeEach(() => {
  proxy.faults = () => null
  proxy.resetCounts()
})

afterAll(async () => {
  await server.stop()
  await proxy[Symbol.asyncDispose]()
})

const usage = async (): Promise<schemas.Limits['usage']> =>
  schemas.limits.parse((await api.call('limits', {})).json).usage

/** The object of a part of the newest upload: ids of blobs are nobody's business. */
async function newObject(before: readonly string[], index: number): Promise<string> {
  const found = (await objectsIn(bucket)).find(name => !before.includes(name) && name.endsWith(`/${index}`))
  if (found === undefined) throw new Error(`part ${index} is not stored`)
  return found
}

async function deleteBehind(Key: string): Promise<void> {
  const client = createS3Client(bucket)
  await client.send(new DeleteObjectCommand({ Bucket: bucket.bucket, Key }))
  client.destroy()
}

const STAYING: readonly (readonly [string, S3Fault])[] = [
  ['F9: 503 SlowDown', { how: 'status', status: 503, code: 'SlowDown' }],
  ['F9: 500', { how: 'status', status: 500, code: 'InternalError' }],
  ['F9: 429', { how: 'status', status: 429, code: 'TooManyRequests' }],
  ['F10: no response', { how: 'hang' }],
  ['F11: a reset in the middle of a part', { how: 'reset-request', afterBytes: PART / 2 }],
  ['F12: an error inside a 200', { how: 'error-in-200' }],
  ['F12: responses that are lost', { how: 'lose-response' }],
]

describe('a service that does not take a part', () => {
  test.each(STAYING)('%s: 503 with Retry-After, nothing counts, no slot is kept; then it goes on', async (_, fault) => {
    const { uploadId, mediaId } = await api.begin({ json: { sizeBytes: PART } })
    proxy.faults = call => (call === 'PUT' ? fault : null)
    const refused = await api.putPart(uploadId, 0, part(0))
    expect(refused).toMatchObject({ status: 503, code: 'unavailable' })
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0)
    expect(await usage()).toMatchObject({ uploads: 0, storedBytes: 0 })
    expect(await api.complete(uploadId, PART)).toMatchObject({ code: 'parts_missing' })
    proxy.faults = () => null
    expect((await api.putPart(uploadId, 0, part(0))).status).toBe(204)
    expect((await api.complete(uploadId, PART)).status).toBe(200)
    expect((await api.read(mediaId)).body.equals(part(0))).toBe(true)
    await api.call('endLease', { mediaId })
  })
})

describe('a service that does not give a part', () => {
  test.each<[string, S3Fault]>([
    ['F9: 503 SlowDown', { how: 'status', status: 503, code: 'SlowDown' }],
    ['F10: no response', { how: 'hang' }],
    ['F11: a short response', { how: 'short-response', bytes: 1000 }],
  ])('%s: an error or a cut, never a short 200', async (_, fault) => {
    const { mediaId } = await api.store(bytes)
    proxy.faults = (call, _nth, path) => (call === 'GET' && path.endsWith('/1') ? fault : null)
    const told = await api.read(mediaId).catch((error: unknown) => error)
    // Part 0 is in flight by then: there is no status left to tell it by.
    expect(told).toBeInstanceOf(Error)
    proxy.faults = () => null
    expect((await api.read(mediaId)).body.equals(bytes)).toBe(true)
    expect(await usage()).toMatchObject({ downloads: 0 })
    await api.call('endLease', { mediaId })
  })
})

test('F13: part 1 fails and part 2 lands: what is told as durable has the gap, and nothing is complete', async () => {
  const { uploadId, mediaId } = await api.begin({ json: { sizeBytes: bytes.length } })
  proxy.faults = (call, _nth, path) =>
    call === 'PUT' && path.endsWith('/1') ? { how: 'status', status: 500, code: 'InternalError' } : null
  expect((await api.putPart(uploadId, 0, part(0))).status).toBe(204)
  const [failed, landed] = await Promise.all([1, 2].map(index => api.putPart(uploadId, index, part(index))))
  expect([failed?.status, landed?.status]).toEqual([503, 204])
  const status = schemas.uploadStatus.parse((await api.call('uploadStatus', { uploadId })).json)
  expect(status.parts).toEqual([
    [0, 0],
    [2, 2],
  ])
  expect(await api.complete(uploadId, bytes.length)).toMatchObject({ code: 'parts_missing' })
  const followed = await api.read(mediaId, { range: `bytes=0-${PART - 1}` })
  expect(followed.body.equals(part(0))).toBe(true)
  proxy.faults = () => null
  expect((await api.putPart(uploadId, 1, part(1))).status).toBe(204)
  expect((await api.complete(uploadId, bytes.length)).status).toBe(200)
  expect((await api.read(mediaId)).body.equals(bytes)).toBe(true)
  await api.call('endLease', { mediaId })
})

describe('F14: a listing that lacks what was stored a moment ago', () => {
  const stale = (call: S3Call): S3Fault | null => (call === 'LIST' ? { how: 'stale-list' } : null)

  test('does not keep an upload from being complete', async () => {
    const { uploadId, mediaId } = await api.begin({ json: { sizeBytes: bytes.length } })
    for (const index of [0, 1, 2]) expect((await api.putPart(uploadId, index, part(index))).status).toBe(204)
    proxy.faults = stale
    expect((await api.complete(uploadId, bytes.length)).status).toBe(200)
    expect((await api.read(mediaId)).body.equals(bytes)).toBe(true)
    await api.call('endLease', { mediaId })
  })

  test('does not make one complete whose part is gone', async () => {
    const before = await objectsIn(bucket)
    const { uploadId, mediaId } = await api.begin({ json: { sizeBytes: bytes.length } })
    for (const index of [0, 1, 2]) expect((await api.putPart(uploadId, index, part(index))).status).toBe(204)
    await deleteBehind(await newObject(before, 2))
    proxy.faults = stale
    expect(await api.complete(uploadId, bytes.length)).toMatchObject({ status: 500, code: 'damaged' })
    await api.call('endLease', { mediaId })
  })

  test('when a media item is deleted: it is gone at once, and its bytes when the listing has them', async () => {
    const before = await objectsIn(bucket)
    const { mediaId } = await api.store(bytes)
    const stored = (await objectsIn(bucket)).filter(name => !before.includes(name))
    expect(stored).toHaveLength(3)
    proxy.faults = stale
    expect((await api.call('endLease', { mediaId })).status).toBe(204)
    expect((await api.read(mediaId)).status).toBe(410)
    expect(await usage()).toMatchObject({ storedBytes: 0 })
    await eventually('the sweeper has looked for them', () => proxy.calls('LIST') > 1)
    proxy.faults = () => null
    await eventually('they are deleted', async () => (await objectsIn(bucket)).every(name => !stored.includes(name)))
  })
})

describe('F14: an object that is deleted or replaced behind the server', () => {
  test('before the upload is complete: it never is, and ending it frees its charge', async () => {
    const before = await objectsIn(bucket)
    const { uploadId, mediaId } = await api.begin({ json: { sizeBytes: bytes.length } })
    for (const index of [0, 1, 2]) expect((await api.putPart(uploadId, index, part(index))).status).toBe(204)
    await deleteBehind(await newObject(before, 1))
    for (let times = 0; times < 2; times += 1)
      expect(await api.complete(uploadId, bytes.length)).toMatchObject({ status: 500, code: 'damaged' })
    expect((await api.call('mediaInfo', { mediaId })).json).toMatchObject({ state: 'uploading' })
    // Its size is fixed by now: it is ended as a media item is.
    expect(await api.call('abortUpload', { uploadId })).toMatchObject({ code: 'upload_complete' })
    expect((await api.call('endLease', { mediaId })).status).toBe(204)
    expect((await api.call('mediaInfo', { mediaId })).status).toBe(410)
    expect(await usage()).toMatchObject({ storedBytes: 0, reservedBytes: 0, pendingUploads: 0 })
  })

  test('in a complete media: cut, never short; in its first part: an error', async () => {
    const before = await objectsIn(bucket)
    const { mediaId } = await api.store(bytes)
    const first = await newObject(before, 0)
    await deleteBehind(await newObject(before, 1))
    expect(await api.read(mediaId).catch((error: unknown) => error)).toBeInstanceOf(Error)
    await deleteBehind(first)
    expect((await api.read(mediaId)).status).toBe(500)
    await api.call('endLease', { mediaId })
    expect((await api.read(mediaId)).status).toBe(410)
    expect(await usage()).toMatchObject({ storedBytes: 0 })
  })

  test('of a part that counts: who asks for an address of it learns that it is damaged', async () => {
    const before = await objectsIn(bucket)
    const { uploadId } = await api.begin({ json: { sizeBytes: bytes.length } })
    expect((await api.putPart(uploadId, 0, part(0))).status).toBe(204)
    const name = await newObject(before, 0)
    await deleteBehind(name)
    const told = { sizeBytes: PART, md5: createHash('md5').update(part(0)).digest('base64') }
    const ask = () => api.call('directPart', { uploadId, index: 0 }, { json: told })
    expect(await ask()).toMatchObject({ code: 'damaged' })
    const client = createS3Client(bucket)
    await client.send(new PutObjectCommand({ Bucket: bucket.bucket, Key: name, Body: part(1) }))
    client.destroy()
    expect(await ask()).toMatchObject({ code: 'part_conflict' })
    expect((await api.call('abortUpload', { uploadId })).status).toBe(204)
    expect((await ask()).status).toBe(410)
  })
})

import { createHash } from 'node:crypto'

import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import * as schemas from '../../src/protocol/schemas.ts'
import type { S3Connection } from '../../src/server/blobs/s3/s3-client.ts'
import { createApi, type Reply, type Api } from '../support/api.ts'
import { cephEngine } from '../support/engines/ceph.ts'
import { sharedEngine } from '../support/engines/shared.ts'
import { bytesFor } from '../support/random.ts'
import { makeBucket, objectsIn, s3Settings } from '../support/s3-bucket.ts'
import { startTestServer, type TestServer } from '../support/test-server.ts'

const PART = 256 * 1024
const bytes = bytesFor('direct', 2 * PART + 1000)
const partsOf = (whole: Uint8Array) =>
  Array.from({ length: Math.ceil(whole.length / PART) }, (_, index) => whole.subarray(index * PART, (index + 1) * PART))
const told = (part: Uint8Array) => ({
  sizeBytes: part.length,
  md5: createHash('md5').update(part).digest('base64'),
})

describe('bytes that go between client and store', () => {
  let server: TestServer
  let api: Api
  let bucket: S3Connection

  beforeAll(async () => {
    bucket = await makeBucket(await sharedEngine(cephEngine))
    server = await startTestServer({
      storage: {
        kind: 's3',
        transfer: 'direct',
        directUrlTtl: '3s',
        s3: s3Settings(bucket),
      },
      transfer: { partBytes: PART },
      upkeep: { sweepEvery: '500ms', orphanGrace: '1s' },
      // What ends at one node frees a slot of another as soon as that one is told: for so long, who asks waits.
      tiers: { default: { concurrentUploads: 3, concurrentDownloads: 2, queue: 10, queueWait: '1s' } },
    })
    api = createApi(server.url)
  }, 120_000)

  afterAll(() => server.stop())

  const addressOf = async (uploadId: string, index: number, part: Uint8Array) => {
    const response = await api.call('directPart', { uploadId, index }, { json: told(part) })
    return { response, address: response.status === 200 ? schemas.directAddress.parse(response.json) : null }
  }
  const put = async (uploadId: string, index: number, part: Uint8Array) => {
    const { address } = await addressOf(uploadId, index, part)
    if (!address) throw new Error('no address')
    return putTo(address, part)
  }
  const putTo = ({ url, headers }: schemas.DirectAddress, part: Uint8Array) =>
    fetch(url, { method: 'PUT', headers: withoutLength(headers), body: new Uint8Array(part) })
  const confirm = (uploadId: string, index: number, part: Uint8Array) =>
    api.call('confirmPart', { uploadId, index }, { json: told(part) })
  const upload = async (whole: Uint8Array, options: schemas.BeginUploadRequest = {}) => {
    const { uploadId, mediaId } = await api.begin({ json: { ...options, sizeBytes: whole.length } })
    await Promise.all(
      partsOf(whole).map(async (part, index) => {
        expect((await put(uploadId, index, part)).status).toBe(200)
        expect((await confirm(uploadId, index, part)).status).toBe(204)
      }),
    )
    expect((await api.complete(uploadId, whole.length)).status).toBe(200)
    return mediaId
  }
  const addresses = (mediaId: string, range: schemas.DirectReadRequest, headers = {}) =>
    api.call('directRead', { mediaId }, { json: range, headers })
  const read = async (response: Reply) => {
    const { parts, transferId } = schemas.directRead.parse(response.json)
    const chunks = await Promise.all(parts.map(async ({ url }) => Buffer.from(await (await fetch(url)).arrayBuffer())))
    await api.call('endDirect', { transferId })
    return Buffer.concat(chunks)
  }

  test('an upload whose parts never pass the server, and a download likewise', async () => {
    const before = await movedByServer()
    const mediaId = await upload(bytes)
    const response = await addresses(mediaId, { start: 0 })
    expect(response.headers['etag']).toMatch(/^"[a-z2-7]{26}"$/)
    expect((await read(response)).equals(bytes)).toBe(true)
    expect(await movedByServer()).toEqual(before)
    // Through the server it is the same media.
    expect((await api.read(mediaId)).body.equals(bytes)).toBe(true)
  })

  const movedByServer = async () => {
    const page = await (await fetch(`${server.adminUrl ?? ''}/metrics`)).text()
    return [...page.matchAll(/^sealift_transfer_bytes_total\{.*\} (\d+)$/gm)].map(([, count]) => Number(count))
  }

  test('addresses of a range are those of the parts that hold it', async () => {
    const mediaId = await upload(bytes)
    const response = await addresses(mediaId, { start: PART + 5, end: PART + 6 })
    const { parts, partBytes, sizeBytes, transferId } = schemas.directRead.parse(response.json)
    expect({ indices: parts.map(({ index }) => index), partBytes, sizeBytes }).toEqual({
      indices: [1],
      partBytes: PART,
      sizeBytes: bytes.length,
    })
    const ranged = await fetch(parts[0]?.url ?? '', { headers: { range: 'bytes=5-9' } })
    expect(ranged.status).toBe(206)
    expect(Buffer.from(await ranged.arrayBuffer()).equals(bytes.subarray(PART + 5, PART + 10))).toBe(true)
    await api.call('endDirect', { transferId })
    expect(await addresses(mediaId, { start: bytes.length })).toMatchObject({ code: 'range_not_satisfiable' })
  })

  test('an address takes no other bytes than those it was given for', async () => {
    const [part = bytes] = partsOf(bytes)
    const { uploadId } = await api.begin({ json: { sizeBytes: bytes.length } })
    const { address } = await addressOf(uploadId, 0, part)
    if (!address) throw new Error('no address')
    const forged = Uint8Array.from(part)
    forged[7] = (forged[7] ?? 0) ^ 1
    expect((await putTo(address, forged)).ok).toBe(false)
    expect((await putTo(address, part.subarray(1))).ok).toBe(false)
    const otherMd5 = { ...address, headers: { ...address.headers, 'content-md5': told(forged).md5 } }
    expect((await putTo(otherMd5, forged)).status).toBe(403)
    expect(await confirm(uploadId, 0, part)).toMatchObject({ status: 409, code: 'parts_missing' })
    expect((await putTo(address, part)).status).toBe(200)
    expect((await confirm(uploadId, 0, part)).status).toBe(204)
    await api.call('abortUpload', { uploadId })
  })

  test('a part counts only once the store has it, and never changes then', async () => {
    const [part = bytes, other = bytes] = partsOf(bytes)
    const { uploadId } = await api.begin({ json: { sizeBytes: bytes.length } })
    expect(await confirm(uploadId, 0, part)).toMatchObject({ code: 'parts_missing' })
    expect(await api.complete(uploadId, bytes.length)).toMatchObject({ code: 'parts_missing' })
    await put(uploadId, 0, part)
    expect((await confirm(uploadId, 0, part)).status).toBe(204)
    expect((await confirm(uploadId, 0, part)).status).toBe(204)
    expect((await addressOf(uploadId, 0, part)).response.status).toBe(204)
    expect((await addressOf(uploadId, 0, other)).response).toMatchObject({ code: 'part_conflict' })
    // What is left of it may go through the server.
    expect((await api.putPart(uploadId, 1, other)).status).toBe(204)
    await api.call('abortUpload', { uploadId })
  })

  test('an older address for other bytes changes nothing of what counts', async () => {
    const small = bytesFor('what is told', 10)
    const large = bytesFor('what comes later', PART)
    const { uploadId, mediaId } = await api.begin({ json: {} })
    const { address: older } = await addressOf(uploadId, 0, large)
    expect((await put(uploadId, 0, small)).status).toBe(200)
    expect((await confirm(uploadId, 0, small)).status).toBe(204)
    expect((await putTo(older as schemas.DirectAddress, large)).ok).toBe(false)
    expect((await api.complete(uploadId, small.length)).status).toBe(200)
    expect((await putTo(older as schemas.DirectAddress, large)).ok).toBe(false)
    expect((await api.read(mediaId)).body.equals(small)).toBe(true)
    expect((await read(await addresses(mediaId, { start: 0 }))).equals(small)).toBe(true)
  })

  test('what is stored past the end of a complete media goes with the orphans', async () => {
    const small = bytesFor('all of it', 20)
    const { uploadId, mediaId } = await api.begin({ json: {} })
    const { address: late } = await addressOf(uploadId, 5, bytesFor('too late', PART))
    if (!late) throw new Error('no address')
    await api.call('endDirect', { transferId: late.transferId })
    expect((await api.putPart(uploadId, 0, small)).status).toBe(204)
    expect((await api.complete(uploadId, small.length)).status).toBe(200)
    expect((await putTo(late, bytesFor('too late', PART))).status).toBe(200)
    const pastTheEnd = async () => (await objectsIn(bucket)).filter(name => name.endsWith('/5'))
    expect(await pastTheEnd()).toHaveLength(1)
    await expect.poll(pastTheEnd, { timeout: 15_000 }).toEqual([])
    expect((await api.read(mediaId)).body.equals(small)).toBe(true)
    expect((await api.call('limits', {})).json).toMatchObject({ usage: { reservedBytes: 0 } })
  }, 30_000)

  test('a slot is held until the part is confirmed, or its address expires', async () => {
    const { uploadId } = await api.begin({ json: { sizeBytes: 5 * PART } })
    const part = bytesFor('slots', PART)
    for (let index = 0; index < 3; index += 1)
      expect((await addressOf(uploadId, index, part)).response.status).toBe(200)
    const full = await addressOf(uploadId, 3, part)
    expect(full.response).toMatchObject({ status: 429, code: 'too_many_uploads' })
    // Asking again for the same part is the same transfer.
    const again = await addressOf(uploadId, 0, part)
    expect(again.response.status).toBe(200)
    await putTo(again.address as schemas.DirectAddress, part)
    expect((await confirm(uploadId, 0, part)).status).toBe(204)
    expect((await addressOf(uploadId, 3, part)).response.status).toBe(200)
    await pause(3200)
    for (let index = 1; index < 4; index += 1)
      expect((await addressOf(uploadId, index, part)).response.status).toBe(200)
    await api.call('abortUpload', { uploadId })
    await pause(3200)
  }, 20_000)

  test('downloads are counted, and their slots lapse or are released', async () => {
    const mediaId = await upload(bytes, { maxDownloads: 1 })
    const first = await addresses(mediaId, { start: 0 })
    expect(first.status).toBe(200)
    expect(await addresses(mediaId, { start: 0 })).toMatchObject({ status: 410, code: 'downloads_exhausted' })
    const grant = { 'sealift-download': first.headers['sealift-download'] ?? '' }
    const second = await addresses(mediaId, { start: PART }, grant)
    expect(second.status).toBe(200)
    expect(await addresses(mediaId, { start: PART }, grant)).toMatchObject({ status: 429 })
    await read(first)
    const third = await addresses(mediaId, { start: PART }, grant)
    expect(third.status).toBe(200)
    await read(second)
    await read(third)
  })

  test('what has ended, or still grows, has no addresses', async () => {
    const owner = 'an-owner-secret-for-direct-reads'
    const own = createApi(server.url, { owner })
    const { mediaId } = await own.store(bytes)
    await own.call('endLease', { mediaId })
    expect(await addresses(mediaId, { start: 0 })).toMatchObject({ code: 'gone' })
    const begun = await api.begin({ json: { sizeBytes: PART } })
    expect(await addresses(begun.mediaId, { start: 0 })).toMatchObject({ code: 'upload_in_progress' })
    await api.call('abortUpload', { uploadId: begun.uploadId })
  })

  test('what ends while its addresses are waited for has none', async () => {
    const own = createApi(server.url, { owner: 'the-owner-secret-of-a-reader-in-line' })
    await server.reconfigure({ tiers: { default: { concurrentDownloads: 1, queue: 1, queueWait: '10s' } } })
    const busy = await own.store(bytes)
    const { transferId } = schemas.directRead.parse((await addresses(busy.mediaId, { start: 0 })).json)
    const { mediaId } = await own.store(bytes)
    const waiting = addresses(mediaId, { start: 0 })
    await pause(200)
    await own.call('endLease', { mediaId })
    await api.call('endDirect', { transferId })
    expect(await waiting).toMatchObject({ status: 410, code: 'gone' })
    // Nothing is held by it.
    const next = await addresses(busy.mediaId, { start: 0 })
    expect(next.status).toBe(200)
    await read(next)
    await server.reconfigure({})
  })

  test('addresses to read end with the lease that they were given for', async () => {
    await server.reconfigure({ storage: { directUrlTtl: '1h' } })
    const { mediaId } = await api.store(bytes, { ttlSeconds: 60 })
    const response = await addresses(mediaId, { start: 0 })
    const { parts, expiresAt, transferId } = schemas.directRead.parse(response.json)
    expect(Date.parse(expiresAt)).toBeLessThanOrEqual(Date.now() + 60_000)
    for (const { url } of parts) expect(Number(new URL(url).searchParams.get('X-Amz-Expires'))).toBeLessThanOrEqual(60)
    await api.call('endDirect', { transferId })
    await server.reconfigure({})
  })

  test('begin and manifest say that bytes may go directly', async () => {
    const begun = await api.begin({ json: { sizeBytes: PART } })
    expect(begun.transfer).toBe('direct')
    await api.call('abortUpload', { uploadId: begun.uploadId })
    const owner = 'an-owner-secret-of-a-manifest'
    const own = createApi(server.url, { owner })
    const published = await own.call('publishParcel', {}, { json: { manifest: 'AAAA', media: [] } })
    const { parcelId } = schemas.parcel.parse(published.json)
    expect((await own.call('readParcel', { parcelId })).headers['sealift-transfer']).toBe('direct')
  })
})

/** `fetch` sets the length itself, and refuses to be told. */
function withoutLength(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => name !== 'content-length'))
}

/** What addresses bring to the store when their upload, or its media, is over already. No orphan is swept meanwhile. */
import { createHash } from 'node:crypto'

import { afterEach, beforeEach, describe, expect, test } from 'vitest'

import * as schemas from '../../src/protocol/schemas.ts'
import type { RawMap } from '../../src/server/index.ts'
import type { S3Connection } from '../../src/server/blobs/s3/s3-client.ts'
import { createApi, type Api } from '../support/api.ts'
import { cephEngine } from '../support/engines/ceph.ts'
import { sharedEngine } from '../support/engines/shared.ts'
import { bytesFor } from '../support/random.ts'
import { makeBucket, objectsIn, s3Settings } from '../support/s3-bucket.ts'
import { startTestServer, type TestServer } from '../support/test-server.ts'

const PART = 256 * 1024
const TTL_MS = 2000
/** Until this has passed since the address was asked for, its bytes are charged. */
const CHARGED_MS = 1.5 * TTL_MS
const bytes = bytesFor('late', 2 * PART)
const [first, second] = [bytes.subarray(0, PART), bytes.subarray(PART)]
const QUOTA = 5 * PART

const told = (part: Uint8Array) => ({
  sizeBytes: part.length,
  md5: createHash('md5').update(part).digest('base64'),
})

describe('an address that is used when its upload is over', () => {
  let server: TestServer
  let api: Api
  let bucket: S3Connection
  let config: RawMap

  beforeEach(async () => {
    bucket = await makeBucket(await sharedEngine(cephEngine))
    config = {
      storage: {
        kind: 's3',
        transfer: 'direct',
        directUrlTtl: `${TTL_MS}ms`,
        s3: s3Settings(bucket),
      },
      transfer: { partBytes: PART },
      upkeep: { sweepEvery: '200ms', orphanGrace: '1h', keepEnded: '0s' },
      tiers: { default: { storedBytes: QUOTA } },
    }
    server = await startTestServer(config)
    api = createApi(server.url, { owner: 'the-owner-secret-of-late-addresses' })
  }, 120_000)

  afterEach(() => server.stop())

  const addressOf = async (uploadId: string, index: number, part: Uint8Array) =>
    schemas.directAddress.parse((await api.call('directPart', { uploadId, index }, { json: told(part) })).json)
  const putTo = async ({ url, headers }: schemas.DirectAddress, part: Uint8Array) => {
    const { 'content-length': _, ...others } = headers
    return (await fetch(url, { method: 'PUT', headers: others, body: new Uint8Array(part) })).status
  }
  const confirm = async (uploadId: string, index: number, part: Uint8Array) =>
    (await api.call('confirmPart', { uploadId, index }, { json: told(part) })).status
  const usage = async () => {
    const { storedBytes, reservedBytes, pendingUploads } = schemas.limits.parse(
      (await api.call('limits', {})).json,
    ).usage
    return { storedBytes, reservedBytes, pendingUploads }
  }
  const nothingStored = async () => {
    await expect.poll(() => objectsIn(bucket), { timeout: 15_000 }).toEqual([])
  }
  const charged = (storedBytes: number) => ({ storedBytes, reservedBytes: 0, pendingUploads: 0 })
  /** Sooner than any orphan would go. */
  const expectAllGone = async (storedBytes = 0) => {
    await expect.poll(usage, { timeout: 15_000 }).toEqual(charged(storedBytes))
    expect(await objectsIn(bucket)).toHaveLength(storedBytes === 0 ? 0 : 1)
  }

  test('brings bytes that are charged until they are deleted, with the address: after an abort', async () => {
    const { uploadId } = await api.begin({ json: { sizeBytes: bytes.length } })
    const addresses = [await addressOf(uploadId, 0, first), await addressOf(uploadId, 1, second)] as const
    const askedAtMs = performance.now()
    expect(await putTo(addresses[0], first)).toBe(200)
    expect(await confirm(uploadId, 0, first)).toBe(204)
    await api.call('abortUpload', { uploadId })
    await nothingStored()
    expect(await putTo(addresses[0], first)).toBe(200)
    expect(await putTo(addresses[1], second)).toBe(200)
    expect(await usage()).toMatchObject(charged(bytes.length))
    // It is no unfinished upload any more; but nobody gets more than the quota in this way.
    const more = await api.call('beginUpload', {}, { json: { sizeBytes: QUOTA - bytes.length + 1 } })
    expect(more).toMatchObject({ code: 'quota_exceeded' })
    await expectAllGone()
    expect(performance.now() - askedAtMs).toBeGreaterThan(CHARGED_MS)
    expect(await putTo(addresses[1], second)).toBe(403)
  }, 30_000)

  test('also when the server was restarted, and gives out no addresses any more', async () => {
    const longer = { ...(config['storage'] as RawMap), directUrlTtl: '5s' }
    await server.reconfigure({ storage: longer })
    const { uploadId } = await api.begin({ json: { sizeBytes: bytes.length } })
    const address = await addressOf(uploadId, 0, first)
    await api.call('abortUpload', { uploadId })
    await server.stop({ keepData: true })
    const proxied = { ...config, storage: { ...longer, transfer: 'proxy' } }
    server = await startTestServer(proxied, { dataDirectory: server.dataDirectory })
    api = createApi(server.url)
    expect(await putTo(address, first)).toBe(200)
    await expectAllGone()
  }, 30_000)

  test('after its media was complete, and ended', async () => {
    const { uploadId, mediaId } = await api.begin({ json: { sizeBytes: PART } })
    const address = await addressOf(uploadId, 0, first)
    expect(await putTo(address, first)).toBe(200)
    expect(await confirm(uploadId, 0, first)).toBe(204)
    expect((await api.complete(uploadId, PART)).status).toBe(200)
    expect(await putTo(address, first)).toBe(412)
    expect((await api.call('endLease', { mediaId })).status).toBe(204)
    await nothingStored()
    expect(await putTo(address, first)).toBe(200)
    expect(await usage()).toMatchObject(charged(PART))
    await expectAllGone()
  }, 30_000)

  test('past the end of a complete media', async () => {
    const { uploadId, mediaId } = await api.begin({ json: {} })
    const address = await addressOf(uploadId, 3, first)
    expect((await api.putPart(uploadId, 0, Buffer.from('all of it'))).status).toBe(204)
    expect((await api.complete(uploadId, 9)).status).toBe(200)
    expect(await putTo(address, first)).toBe(200)
    expect(await usage()).toMatchObject(charged(9 + PART))
    await expectAllGone(9)
    expect((await api.read(mediaId)).body.toString()).toBe('all of it')
  }, 30_000)

  test('never brings more than is reserved, whatever sizes are asked for in turn', async () => {
    const { uploadId } = await api.begin({ json: {} })
    const tiny = Buffer.from('x')
    for (let index = 0; index < 5; index += 1) {
      const large = await addressOf(uploadId, index, first)
      // A second wish for the same part is for one byte.
      await addressOf(uploadId, index, tiny)
      expect(await putTo(large, first)).toBe(200)
    }
    expect(await objectsIn(bucket)).toHaveLength(5)
    expect(await usage()).toMatchObject({ reservedBytes: 5 * PART })
    const sixth = await api.call('directPart', { uploadId, index: 5 }, { json: told(first) })
    expect(sixth).toMatchObject({ code: 'quota_exceeded' })
    await api.call('abortUpload', { uploadId })
    await expectAllGone()
  }, 30_000)

  test('is given to nobody whose upload ended while the address was waited for', async () => {
    await server.reconfigure({
      tiers: { default: { storedBytes: QUOTA, concurrentUploads: 1, queue: 1, queueWait: '10s' } },
    })
    const busy = await api.begin({ json: { sizeBytes: PART } })
    const { transferId } = await addressOf(busy.uploadId, 0, first)
    const { uploadId } = await api.begin({ json: { sizeBytes: PART } })
    const waiting = api.call('directPart', { uploadId, index: 0 }, { json: told(first) })
    await new Promise(resolve => {
      setTimeout(resolve, 200)
    })
    await api.call('abortUpload', { uploadId })
    await api.call('endDirect', { transferId })
    expect(await waiting).toMatchObject({ status: 410, code: 'gone' })
    // Its slot is free.
    expect((await api.call('directPart', { uploadId: busy.uploadId, index: 0 }, { json: told(first) })).status).toBe(
      200,
    )
  }, 30_000)
})

import { createHash, randomBytes } from 'node:crypto'

import { describe, expect, test } from 'vitest'

import type { Limits, Parcel, TierLimits } from '../../src/protocol/schemas.ts'
import { createApi, newOwner, OCTETS, type Api } from '../support/api.ts'
import { eventually } from '../support/eventually.ts'
import { replaceMethods } from '../support/replace-methods.ts'
import { onEveryNode, startTestServer } from '../support/test-server.ts'

const PART = 256 * 1024

const limitsOf = async (api: Api) => (await api.call('limits', {})).json as Limits
const tier = (limits: Record<string, unknown>) => ({ transfer: { partBytes: PART }, tiers: { default: limits } })

describe('quota', () => {
  test('threat 53: is exact to the byte under 64 uploads at once', async () => {
    const quota = 20 * 1000
    await using server = await startTestServer(tier({ storedBytes: quota, requestBurst: 10_000 }))
    const api = createApi(server.url, { owner: newOwner() })
    const send = () => api.call('storeMedia', {}, { body: randomBytes(1000), headers: OCTETS })
    const responses = await Promise.all(Array.from({ length: 64 }, send))
    expect(responses.filter(({ status }) => status === 201)).toHaveLength(20)
    expect(responses.filter(({ code }) => code === 'quota_exceeded')).toHaveLength(44)
    expect((await limitsOf(api)).usage).toMatchObject({ storedBytes: quota, reservedBytes: 0, pendingUploads: 0 })
    const one = responses.find(({ status }) => status === 201)?.json as { mediaId: string }
    await api.call('endLease', { mediaId: one.mediaId })
    expect(await limitsOf(api)).toMatchObject({
      usage: { storedBytes: quota - 1000 },
      remaining: { storedBytes: 1000 },
    })
  })

  test('threat 55: counts unfinished uploads, and frees them when they expire', async () => {
    let now = Date.now()
    await using server = await startTestServer(
      { ...tier({ pendingUploads: 3, pendingBytes: 5000 }), upkeep: { sweepEvery: '100ms' } },
      { clock: () => now },
    )
    const api = createApi(server.url)
    const begin = (sizeBytes: number) => api.call('beginUpload', {}, { json: { sizeBytes } })
    expect((await begin(4000)).status).toBe(201)
    expect(await begin(1001)).toMatchObject({ status: 429, code: 'too_many_pending', json: { limit: 'pendingBytes' } })
    await begin(1)
    await begin(1)
    expect(await begin(1)).toMatchObject({ status: 429, code: 'too_many_pending', json: { limit: 'pendingUploads' } })
    now += 24 * 3_600_000 + 1
    await eventually('the unfinished uploads are swept', async () => {
      const { usage } = await limitsOf(api)
      return usage.pendingUploads === 0 && usage.reservedBytes === 0
    })
  })
})

test.each(['blobs', 'records'])(
  'threat 51: nothing new is taken when the disk of %s is nearly full, and all else goes on',
  async full => {
    let freePercent = 50
    const spaceOf = (store: string) => async () => ({
      freeBytes: (store === full ? freePercent : 50) * 2 ** 30,
      totalBytes: 100 * 2 ** 30,
    })
    await using server = await startTestServer(
      { storage: { refuseAbovePercent: 90 } },
      {
        wrap: stores => ({
          ...stores,
          blobs: replaceMethods(stores.blobs, { freeSpace: spaceOf('blobs') }),
          records: { ...stores.records, freeSpace: spaceOf('records') },
        }),
      },
    )
    const api = createApi(server.url)
    const bytes = randomBytes(1000)
    const { mediaId } = await api.store(bytes)
    const { uploadId } = await api.begin({ json: { sizeBytes: 1000 } })
    const mine = createApi(server.url, { owner: newOwner() })
    const publish = () => mine.call('publishParcel', {}, { json: { manifest: 'YWJj', media: [] } })
    const { parcelId } = (await publish()).json as Parcel
    const replace = (version: number, manifest: string) => {
      const headers = { 'if-match': `"${version}"` }
      return mine.call('replaceManifest', { parcelId }, { json: { manifest, media: [] }, headers })
    }
    freePercent = 5
    const refuses = async () => (await api.call('beginUpload', {}, { json: {} })).status === 507
    await eventually('it is noticed', () => onEveryNode(server, refuses))
    const refused = await api.call('storeMedia', {}, { body: bytes, headers: OCTETS })
    expect(refused).toMatchObject({ status: 507, code: 'storage_full', json: { limit: 'disk', value: 90 } })
    expect(await publish()).toMatchObject({ status: 507, code: 'storage_full' })
    expect(await replace(1, 'YWJjZA')).toMatchObject({ status: 507, code: 'storage_full' })
    expect(await api.call('forwardMedia', { mediaId }, { json: {} })).toMatchObject({
      status: 507,
      code: 'storage_full',
    })
    expect(await replace(1, 'ZGVm')).toMatchObject({ status: 200 })
    expect((await mine.call('endParcel', { parcelId })).status).toBe(204)
    expect((await api.putPart(uploadId, 0, bytes)).status).toBe(204)
    expect((await api.complete(uploadId, 1000)).status).toBe(200)
    expect((await api.read(mediaId)).body.equals(bytes)).toBe(true)
    freePercent = 50
    await eventually(
      'there is room again',
      async () => (await api.call('beginUpload', {}, { json: {} })).status === 201,
    )
  },
)

describe('rates', () => {
  test('of requests are held, client by client', async () => {
    const hash = (token: string) => createHash('sha256').update(token).digest('hex')
    const [one, two] = ['one-token-that-is-long-enough-0000', 'two-token-that-is-long-enough-0000'] as const
    await using server = await startTestServer({
      ...tier({ requestsPerSecond: 0.5, requestBurst: 5 }),
      access: {
        tokens: [
          { subject: 'one', sha256: hash(one) },
          { subject: 'two', sha256: hash(two) },
        ],
      },
    })
    const api = createApi(server.url, { token: one })
    const responses = await Promise.all(Array.from({ length: 12 }, () => api.call('limits', {})))
    expect(responses.filter(({ status }) => status === 200)).toHaveLength(5)
    expect(responses.find(({ status }) => status === 429)).toMatchObject({
      code: 'rate_limited',
      json: { limit: 'requestsPerSecond', value: 0.5, remaining: 0 },
    })
    expect((await createApi(server.url, { token: two }).call('limits', {})).status).toBe(200)
  })

  test('of bytes are held in both directions', async () => {
    await using server = await startTestServer(
      tier({ uploadBytesPerSecond: '200KiB', downloadBytesPerSecond: '200KiB' }),
    )
    const api = createApi(server.url)
    const bytes = randomBytes(400 * 1024)
    const began = performance.now()
    const { mediaId } = await api.store(bytes)
    const stored = performance.now()
    expect((await api.read(mediaId)).body.equals(bytes)).toBe(true)
    // One second's worth may come at once; the rest takes its time.
    expect(stored - began).toBeGreaterThan(700)
    expect(performance.now() - stored).toBeGreaterThan(700)
  })

  test('of bytes are held for uploads of unknown length too', async () => {
    await using server = await startTestServer(tier({ uploadBytesPerSecond: '1MiB' }))
    const api = createApi(server.url)
    const { uploadId, mediaId } = await api.begin()
    const bytes = randomBytes(100_000)
    expect(await api.putPart(uploadId, 0, bytes)).toMatchObject({ status: 204 })
    await api.complete(uploadId, bytes.length)
    expect((await api.read(mediaId)).body.equals(bytes)).toBe(true)
  })
})

describe('GET /v1/limits', () => {
  test('tells what the operator set, live', async () => {
    await using server = await startTestServer(tier({ concurrentUploads: 5, queue: 9 }))
    const api = createApi(server.url)
    const told = await limitsOf(api)
    expect(told).toMatchObject({
      client: { tier: 'default', anonymous: true },
      partBytes: PART,
      limits: { concurrentUploads: 5, queue: 9 } satisfies Partial<TierLimits>,
    })
    await server.reconfigure({ tiers: { default: { concurrentUploads: 6 } } })
    expect((await limitsOf(api)).limits.concurrentUploads).toBe(6)
  })
})

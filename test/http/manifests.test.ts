/** Manifests as raw octets, and what a manifest in flight in holds. */
import { createHash, randomBytes } from 'node:crypto'

import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import type { Limits, Parcel } from '../../src/protocol/schemas.ts'
import type { Stores } from '../../src/server/index.ts'
import { createApi, newOwner, OCTETS, type Api } from '../support/api.ts'
import { eventually } from '../support/eventually.ts'
import { RawConnection } from '../support/raw-http.ts'
import { replaceMethods } from '../support/replace-methods.ts'
import { startTestServer, type TestServer } from '../support/test-server.ts'

let server: TestServer
let api: Api

beforeAll(async () => {
  server = await startTestServer({ tiers: { default: { manifestBytes: '256KiB' } } })
  api = createApi(server.url, { owner: newOwner() })
})
afterAll(() => server.stop())

const raw = (manifest: Uint8Array, media: readonly string[] = [], headers: Record<string, string> = {}) => ({
  body: Buffer.concat([Buffer.from(media.join('')), manifest]),
  headers: { ...OCTETS, ...(media.length > 0 ? { 'sealift-media-count': String(media.length) } : {}), ...headers },
})
const publish = (...sent: Parameters<typeof raw>) => api.call('publishParcel', {}, raw(...sent))
const manifestOf = async (parcelId: string) => (await api.call('readParcel', { parcelId })).body

describe('a manifest as raw octets', () => {
  test('is published and replaced, with the media it covers', async () => {
    const media = (await Promise.all([1, 2, 3].map(() => api.store(randomBytes(10))))).map(({ mediaId }) => mediaId)
    const [first, second] = [randomBytes(1000), randomBytes(200_000)]
    const published = await publish(first, media.slice(0, 2))
    expect(published).toMatchObject({ status: 201, headers: { etag: '"1"' }, json: { version: 1 } })
    const { parcelId } = published.json as Parcel
    expect((await manifestOf(parcelId)).equals(first)).toBe(true)
    const dropping = await api.call('replaceManifest', { parcelId }, raw(second, media.slice(1), { 'if-match': '"1"' }))
    expect(dropping).toMatchObject({ status: 400, code: 'invalid_request' })
    const replaced = await api.call('replaceManifest', { parcelId }, raw(second, media, { 'if-match': '"1"' }))
    expect(replaced).toMatchObject({ status: 200, json: { version: 2 } })
    expect((await manifestOf(parcelId)).equals(second)).toBe(true)
    await api.call('endParcel', { parcelId })
    expect((await api.read(media[2] ?? '')).status).toBe(410)
  })

  test('may look like ids itself', async () => {
    const manifest = Buffer.from('a'.repeat(52))
    const { parcelId } = (await publish(manifest)).json as Parcel
    expect((await manifestOf(parcelId)).equals(manifest)).toBe(true)
  })

  test.each(['-1', '01', '1.5', 'x', '20001', '99999999999', ''])(
    'with a count of media of "%s" is refused',
    async count => {
      const response = await publish(randomBytes(100), [], { 'sealift-media-count': count })
      expect(response).toMatchObject({ status: 400, code: 'invalid_request' })
    },
  )

  test.each([
    ['that ends within its ids', 'a'.repeat(40), '2'],
    ['that is nothing but ids', 'a'.repeat(52), '2'],
    ['whose ids are none', `${'A'.repeat(26)}x`, '1'],
    ['whose ids have a separator', `${'a'.repeat(26)},${'a'.repeat(26)}x`, '2'],
    ['that is empty', '', '0'],
  ])('%s is refused', async (_, body, count) => {
    const headers = { ...OCTETS, 'sealift-media-count': count }
    expect(await api.call('publishParcel', {}, { body, headers })).toMatchObject({
      status: 400,
      code: 'invalid_request',
    })
  })

  test('takes its time to live from the query', async () => {
    const { expiresAt } = (await api.call('publishParcel', {}, { ...raw(Buffer.from('x')), query: { ttlSeconds: 60 } }))
      .json as Parcel
    expect(Date.parse(expiresAt) - Date.now()).toBeLessThan(61_000)
  })

  test('repeated with its Idempotency-Key is the same parcel, in either form; with other bytes it is refused', async () => {
    const manifest = randomBytes(100)
    const key = { 'idempotency-key': 'raw-1' }
    const first = await publish(manifest, [], key)
    expect((await publish(manifest, [], key)).json).toEqual(first.json)
    const json = { manifest: manifest.toString('base64url'), media: [] }
    expect((await api.call('publishParcel', {}, { json, headers: key })).json).toEqual(first.json)
    expect(await publish(randomBytes(100), [], key)).toMatchObject({ status: 409, code: 'idempotency_conflict' })
  })
})

/** Sends the head of a manifest, and `bytes` of it. */
async function begin(
  url: string,
  length: number | null,
  headers: readonly string[] = [],
  bytes = 0,
  path = '/v1/parcels',
) {
  const connection = await RawConnection.open(url)
  connection.head(
    `POST ${path} HTTP/1.1`,
    'Host: localhost',
    'Content-Type: application/octet-stream',
    length === null ? 'Transfer-Encoding: chunked' : `Content-Length: ${length}`,
    ...headers,
  )
  if (bytes > 0) connection.write(Buffer.alloc(bytes))
  return connection
}

describe('before its first byte is asked for, a manifest is refused', () => {
  test.each([
    ['that is too large', 300_000, '/v1/parcels', 413, 'manifestBytes'],
    ['without a length', null, '/v1/parcels', 411, undefined],
    ['that would live too long', 1000, '/v1/parcels?ttlSeconds=300000000', 400, 'maxTtlSeconds'],
  ])('%s', async (_, length, path, status, limit) => {
    await using connection = await begin(server.url, length, ['Expect: 100-continue'], 0, path)
    await connection.until(() => connection.received.length > 0)
    expect(connection.received.toString('latin1')).not.toContain('100 Continue')
    const response = await connection.response()
    expect(response?.status).toBe(status)
    const { limit: told } = JSON.parse(response?.body.toString() ?? '{}') as { limit?: string }
    expect(told).toBe(limit)
  })

  test('when the disk is too full', async () => {
    const wrap = (stores: Stores): Stores => ({
      ...stores,
      blobs: replaceMethods(stores.blobs, {
        freeSpace: () => Promise.resolve({ freeBytes: 1, totalBytes: 100 }),
      }),
    })
    await using full = await startTestServer({ storage: { refuseAbovePercent: 90 } }, { wrap })
    await using connection = await begin(full.url, 1000, ['Expect: 100-continue'])
    expect(await connection.response()).toMatchObject({ status: 507 })
  })
})

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')

/** A body that is withheld on each node, since each has a budget of its own. */
async function withhold({ url, nodes }: TestServer, api: Api, headers: readonly string[] = []) {
  const connections: RawConnection[] = []
  for (let node = 0; node < nodes; node += 1) connections.push(await begin(url, 1_400_000, headers, 1_000_000))
  await eventually('they are being received', async () => (await usage(api)).uploads === nodes)
  return {
    async [Symbol.asyncDispose]() {
      for (const connection of connections) await connection[Symbol.asyncDispose]()
    },
  }
}

const usage = async (of: Api) => ((await of.call('limits', {})).json as Limits).usage

describe('a manifest in flight in', () => {
  test('holds an upload slot until it is stored, and the next waits', async () => {
    await using strict = await startTestServer({ tiers: { default: { concurrentUploads: 1, queueWait: '50ms' } } })
    const there = createApi(strict.url, { owner: newOwner() })
    const first = await begin(strict.url, 100_000, [], 50_000)
    await eventually('it holds a slot', async () => (await usage(there)).uploads === 1)
    const refused = await there.call('publishParcel', {}, raw(randomBytes(10)))
    expect(refused).toMatchObject({ status: 429, code: 'too_many_uploads' })
    const { uploadId } = await there.begin({ json: { sizeBytes: 4 } })
    expect((await there.complete(uploadId, 4)).code, 'small JSON takes no slot').toBe('parts_missing')
    await first[Symbol.asyncDispose]()
    await eventually('the slot is free', async () => (await usage(there)).uploads === 0)
    expect((await there.call('publishParcel', {}, raw(randomBytes(10)))).status).toBe(201)
  })

  test('keeps to the byte rate, as small JSON does', async () => {
    await using slow = await startTestServer({ tiers: { default: { uploadBytesPerSecond: '64KiB' } } })
    const there = createApi(slow.url, { owner: newOwner() })
    const startedAtMs = performance.now()
    await there.call('publishParcel', {}, raw(randomBytes(96 * 1024)))
    await there.call('beginUpload', {}, { json: {} })
    expect(performance.now() - startedAtMs, 'a second is free, the rest is paced').toBeGreaterThan(450)
  })

  test('takes its memory from the budget of its client, which others keep', async () => {
    const tokens = [newOwner(), newOwner()]
    await using tight = await startTestServer({
      access: { tokens: tokens.map((token, at) => ({ subject: `client-${at}`, sha256: sha256(token) })) },
      buffers: { bytes: '8MiB', bytesPerClient: '2MiB', queueWait: '50ms' },
    })
    const [one, two] = tokens.map(token => createApi(tight.url, { token })) as [Api, Api]
    const withheld = await withhold(tight, one, [`Authorization: Bearer ${tokens[0]}`])
    const large = raw(randomBytes(1_000_000))
    expect(await one.call('publishParcel', {}, large)).toMatchObject({
      status: 429,
      code: 'rate_limited',
      json: { limit: 'buffers.bytesPerClient', value: 2 * 2 ** 20, remaining: 0 },
    })
    expect((await one.call('beginUpload', {}, { json: {} })).status, 'small requests have a share').toBe(201)
    expect((await two.call('publishParcel', {}, large)).status, 'others have theirs').toBe(201)
    await withheld[Symbol.asyncDispose]()
    await eventually('the memory is back', async () => (await one.call('publishParcel', {}, large)).status === 201)
  })

  test('in flight out takes memory too', async () => {
    await using tight = await startTestServer({
      buffers: { bytes: '8MiB', bytesPerClient: '2MiB', queueWait: '50ms' },
    })
    const there = createApi(tight.url, { owner: newOwner() })
    const { parcelId } = (await there.call('publishParcel', {}, raw(randomBytes(1_400_000)))).json as Parcel
    const withheld = await withhold(tight, there)
    expect(await there.call('readParcel', { parcelId })).toMatchObject({
      status: 429,
      json: { limit: 'buffers.bytesPerClient' },
    })
    await withheld[Symbol.asyncDispose]()
    await eventually('it can be read', async () => (await there.call('readParcel', { parcelId })).status === 200)
  })
})

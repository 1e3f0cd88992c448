/** Threats 51 and 53: whatever a request leaves behind is charged to a client, exactly, and released. */
import { randomBytes } from 'node:crypto'

import { afterEach, beforeEach, describe, expect, test } from 'vitest'

import type { Limits, Media, Parcel } from '../../src/protocol/schemas.ts'
import { createApi, newOwner, OCTETS, type Reply, type Api } from '../support/api.ts'
import { eventually } from '../support/eventually.ts'
import { startTestServer, type TestServer } from '../support/test-server.ts'

const CROWD = 64
const QUOTA = 100_000

let server: TestServer
let api: Api
let now = Date.now()

beforeEach(async () => {
  server = await startTestServer(
    {
      tiers: { default: { storedBytes: QUOTA, queue: 200, pendingUploads: 1000 } },
      upkeep: { sweepEvery: '100ms', keepEnded: '1h' },
    },
    { clock: () => now },
  )
  api = createApi(server.url, { owner: newOwner() })
})
afterEach(() => server.stop())

const limits = async () => (await api.call('limits', {})).json as Limits
const key = () => ({ 'idempotency-key': randomBytes(12).toString('hex') })
const manifestOf = (bytes: number) => Buffer.alloc(bytes, 1).toString('base64url')
const publish = (bytes: number, media: string[] = [], headers = {}) =>
  api.call('publishParcel', {}, { json: { manifest: manifestOf(bytes), media }, headers })

async function allAtOnce(ask: (index: number) => Promise<Reply>): Promise<readonly Reply[]> {
  return Promise.all(Array.from({ length: CROWD }, (_, index) => ask(index)))
}

describe('every route that makes a row', () => {
  interface RowRoute {
    readonly name: string
    readonly rows: number
    readonly ask: (source: Media) => Promise<Reply>
  }
  const routes: readonly RowRoute[] = [
    {
      name: 'beginUpload',
      rows: 2,
      ask: () => api.call('beginUpload', {}, { json: { sizeBytes: 1 }, headers: key() }),
    },
    {
      name: 'storeMedia',
      rows: 3,
      ask: () => api.call('storeMedia', {}, { body: randomBytes(10), query: { maxDownloads: 2 }, headers: OCTETS }),
    },
    {
      name: 'forwardMedia',
      rows: 2,
      ask: ({ mediaId }) => api.call('forwardMedia', { mediaId }, { json: {}, headers: key() }),
    },
    { name: 'publishParcel', rows: 3, ask: ({ mediaId }) => publish(10, [mediaId], key()) },
  ]

  test.each(routes)('$name: is held to storedRows exactly, and to nothing when all is over', async ({ rows, ask }) => {
    const source = await api.store(randomBytes(10))
    const { usage } = await limits()
    const cap = usage.storedRows + 10 * rows + rows - 1
    await server.reconfigure({ tiers: { default: { storedBytes: QUOTA, storedRows: cap, queue: 200 } } })
    const responses = await allAtOnce(() => ask(source))
    const made = responses.filter(({ status }) => status === 201)
    expect(made).toHaveLength(10)
    for (const response of responses.filter(({ status }) => status !== 201)) {
      expect(response).toMatchObject({ status: 413, code: 'quota_exceeded', json: { limit: 'storedRows', value: cap } })
    }
    expect(await limits()).toMatchObject({
      limits: { storedRows: cap },
      usage: { storedRows: cap - rows + 1 },
      remaining: { storedRows: rows - 1 },
    })
    now += 400 * 86_400_000
    await eventually('all of it is swept', async () => {
      // What has ended is purged an hour later.
      now += 7_200_000
      const { usage } = await limits()
      return usage.storedRows === 0 && usage.storedBytes === 0 && usage.reservedBytes === 0
    })
  })
})

describe('manifests', () => {
  test('threat 53: are held to the quota to the byte when sixty-four are published at once', async () => {
    const BYTES = 7001
    const responses = await allAtOnce(() => publish(BYTES))
    expect(responses.filter(({ status }) => status === 201)).toHaveLength(Math.floor(QUOTA / BYTES))
    const refused = responses.find(({ status }) => status !== 201)
    expect(refused).toMatchObject({
      status: 413,
      code: 'quota_exceeded',
      json: { limit: 'storedBytes', value: QUOTA, remaining: QUOTA % BYTES },
    })
    expect((await limits()).usage.storedBytes).toBe(QUOTA - (QUOTA % BYTES))
    expect(await api.call('beginUpload', {}, { json: { sizeBytes: BYTES } })).toMatchObject({ code: 'quota_exceeded' })
    for (const { json, status } of responses) {
      if (status === 201) await api.call('endParcel', { parcelId: (json as Parcel).parcelId })
    }
    expect((await limits()).usage.storedBytes).toBe(0)
  })

  test('threat 53: that grow are held to it as well, and one that shrinks returns', async () => {
    const { parcelId } = (await publish(90_000)).json as Parcel
    const replace = (version: number, bytes: number) =>
      api.call(
        'replaceManifest',
        { parcelId },
        { json: { manifest: manifestOf(bytes), media: [] }, headers: { 'if-match': `"${version}"` } },
      )
    expect(await replace(1, QUOTA + 1)).toMatchObject({ status: 413, code: 'quota_exceeded' })
    expect(await replace(1, QUOTA)).toMatchObject({ status: 200 })
    expect(await replace(2, 10)).toMatchObject({ status: 200 })
    expect((await limits()).usage).toMatchObject({ storedBytes: 10 })
  })
})

describe('threat 61: a forward of a counted media', () => {
  const forward = async (by: Api, mediaId: string, json = {}) => {
    const response = await by.call('forwardMedia', { mediaId }, { json })
    expect(response).toMatchObject({ status: 201 })
    return response.json as Media
  }

  test('by a stranger gives neither more downloads nor more time, and ends with it', async () => {
    const stranger = createApi(server.url, { owner: newOwner() })
    const bytes = randomBytes(5000)
    const source = await api.store(bytes, { maxDownloads: 1, ttlSeconds: 60 })
    const mine = await forward(stranger, source.mediaId, { ttlSeconds: 90 * 86_400, maxDownloads: 100 })
    expect(mine).toMatchObject({ maxDownloads: 1, downloadsLeft: 1, endsWithSource: true, expiresAt: source.expiresAt })
    const again = await forward(stranger, mine.mediaId)
    const reads = await Promise.all(
      [mine, again, source, mine, again, source].map(({ mediaId }) => stranger.read(mediaId)),
    )
    expect(reads.filter(({ status }) => status === 200)).toHaveLength(1)
    expect(reads.filter(({ code }) => code === 'downloads_exhausted')).toHaveLength(5)
    expect((await stranger.call('headMedia', { mediaId: again.mediaId })).status).toBe(410)
  })

  test('goes on under its grant, and ends when the sender ends the parcel', async () => {
    const bytes = randomBytes(5000)
    const source = await api.store(bytes, { maxDownloads: 2 })
    const { parcelId } = (await publish(10, [source.mediaId])).json as Parcel
    const stranger = createApi(server.url, { owner: newOwner() })
    const mine = await forward(stranger, source.mediaId)
    const first = await stranger.read(mine.mediaId, { range: 'bytes=0-99' })
    const grant = { 'sealift-download': first.headers['sealift-download'] ?? '' }
    const rest = await stranger.read(mine.mediaId, { range: 'bytes=100-', ...grant })
    expect(Buffer.concat([first.body, rest.body]).equals(bytes)).toBe(true)
    expect((await api.call('mediaInfo', { mediaId: source.mediaId })).json).toMatchObject({ downloadsLeft: 1 })
    expect((await api.call('endParcel', { parcelId })).status).toBe(204)
    expect(await stranger.read(mine.mediaId, grant)).toMatchObject({ status: 410, code: 'gone' })
    expect(await stranger.read(mine.mediaId)).toMatchObject({ status: 410, code: 'gone' })
  })

  test('of an uncounted one outlives it', async () => {
    const source = await api.store(randomBytes(500), { ttlSeconds: 60 })
    const mine = await forward(api, source.mediaId, { ttlSeconds: 600 })
    expect(mine).not.toHaveProperty('endsWithSource')
    await api.call('endLease', { mediaId: source.mediaId })
    now += 120_000
    expect((await api.read(mine.mediaId)).status).toBe(200)
  })
})

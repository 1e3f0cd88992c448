/** What a poll of a parcel costs the server: no more than its version, and a manifest once for all who read it. */
import { randomBytes } from 'node:crypto'

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'

import type { Parcel } from '../../src/protocol/schemas.ts'
import type { RecordStore } from '../../src/server/index.ts'
import { createApi, newOwner, OCTETS, type Api } from '../support/api.ts'
import { eventually } from '../support/eventually.ts'
import { RawConnection } from '../support/raw-http.ts'
import { replaceMethods } from '../support/replace-methods.ts'
import { startTestServer, type TestServer } from '../support/test-server.ts'

const MANIFEST = randomBytes(2 ** 20)

let server: TestServer
let api: Api
/** Parcels whose manifest was read, in turn. */
let reads: string[] = []
let beforeRead: () => Promise<void> = async () => undefined

function counted(records: RecordStore): RecordStore {
  return replaceMethods(records, {
    readManifest: async (parcelId: string, version: number) => {
      reads.push(`${parcelId} ${version}`)
      await beforeRead()
      return records.readManifest(parcelId, version)
    },
  })
}

beforeAll(async () => {
  const config = { tiers: { default: { manifestBytes: '11MiB' } } }
  server = await startTestServer(config, { wrap: stores => ({ ...stores, records: counted(stores.records) }) })
  api = createApi(server.url, { owner: newOwner() })
})
beforeEach(() => {
  reads = []
  beforeRead = async () => undefined
})
afterAll(() => server.stop())

const json = (manifest: Uint8Array) => ({ manifest: Buffer.from(manifest).toString('base64url'), media: [] })

async function publish(manifest: Uint8Array = MANIFEST): Promise<string> {
  const response = await api.call('publishParcel', {}, { json: json(manifest) })
  expect(response.status).toBe(201)
  return (response.json as Parcel).parcelId
}

const replace = (parcelId: string, version: number, manifest: Uint8Array) =>
  api.call('replaceManifest', { parcelId }, { json: json(manifest), headers: { 'if-match': `"${version}"` } })

const read = (parcelId: string, headers: Record<string, string> = {}) =>
  api.call('readParcel', { parcelId }, { headers })

describe('a poll of a parcel', () => {
  test('that finds nothing new reads no manifest, however many poll', async () => {
    const parcelId = await publish()
    const polls = await Promise.all(
      Array.from({ length: 40 }, (_, index) =>
        read(parcelId, { 'if-none-match': '"1"', ...(index % 2 ? { prefer: 'wait=1' } : {}) }),
      ),
    )
    expect(new Set(polls.map(({ status }) => status))).toEqual(new Set([304]))
    expect(reads).toEqual([])
  })

  test('that waits reads the next version, and nothing before it', async () => {
    const parcelId = await publish()
    const waiting = Array.from({ length: 8 }, () => read(parcelId, { 'if-none-match': '"1"', prefer: 'wait=20' }))
    const next = randomBytes(200_000)
    expect((await replace(parcelId, 1, next)).status).toBe(200)
    for (const response of await Promise.all(waiting)) expect(response.body.equals(next)).toBe(true)
    expect(new Set(reads)).toEqual(new Set([`${parcelId} 2`]))
    expect(reads.length).toBeLessThanOrEqual(server.nodes)
  })

  test('gets a response from one read of the records, however many ask', async () => {
    const parcelId = await publish()
    const responses = await Promise.all(Array.from({ length: 30 }, () => read(parcelId)))
    for (const { status, body } of responses) expect([status, body.equals(MANIFEST)]).toEqual([200, true])
    expect(reads.length).toBeLessThanOrEqual(server.nodes)
  })

  test('gets the version that replaced the one it asked for meanwhile, whole', async () => {
    const parcelId = await publish()
    const next = randomBytes(300_000)
    beforeRead = async () => {
      beforeRead = async () => undefined
      await replace(parcelId, 1, next)
    }
    const response = await read(parcelId)
    expect(response).toMatchObject({ status: 200, headers: { etag: '"2"', 'sealift-version': '2' } })
    expect(response.body.equals(next)).toBe(true)
  })

  test('of a parcel that ends meanwhile learns that it has ended', async () => {
    const parcelId = await publish()
    beforeRead = async () => {
      beforeRead = async () => undefined
      await api.call('endParcel', { parcelId })
    }
    expect(await read(parcelId)).toMatchObject({ status: 410, code: 'gone' })
  })
})

test('replacing, ending and refusing read no manifest', async () => {
  const parcelId = await publish()
  await replace(parcelId, 1, randomBytes(10))
  expect(await replace(parcelId, 1, randomBytes(10))).toMatchObject({ status: 412 })
  await api.call('endParcel', { parcelId })
  expect((await read(parcelId)).status).toBe(410)
  expect(reads).toEqual([])
})

test('threat 34: readers of one manifest that take nothing hold one copy of it between them', async () => {
  const READERS = 40
  // More than the system keeps for a connection whose reader takes nothing.
  const manifest = randomBytes(11 * 2 ** 20)
  const { json: published } = await api.call('publishParcel', {}, { body: manifest, headers: OCTETS })
  const { parcelId } = published as Parcel
  const before = process.memoryUsage().arrayBuffers
  await using stack = new AsyncDisposableStack()
  const readers: RawConnection[] = []
  for (let index = 0; index < READERS; index += 1) {
    const reader = stack.use(await RawConnection.open(server.url))
    reader.socket.pause()
    reader.head(`GET /v1/parcels/${parcelId} HTTP/1.1`, 'Host: localhost')
    readers.push(reader)
  }
  await eventually('all of them are being served', async () => {
    // A balancer takes the bytes for them.
    if (server.nodes > 1) return reads.length > 0
    const { downloads } = ((await api.call('limits', {})).json as { usage: { downloads: number } }).usage
    return downloads >= READERS
  })
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(8 * manifest.length)
  for (const reader of readers) reader.socket.resume()
  for (const reader of readers) {
    const response = await reader.response()
    expect(response?.status === 200 && response.body.equals(manifest)).toBe(true)
  }
})

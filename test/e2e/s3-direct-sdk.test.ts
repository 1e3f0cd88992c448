import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'

import { GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3'
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'

import { Sealift } from '../../src/client/index.ts'
import type { NodeSealift } from '../../src/client/node/index.ts'
import { createS3Client, type S3Connection } from '../../src/server/blobs/s3/s3-client.ts'
import { cephEngine } from '../support/engines/ceph.ts'
import { freePort } from '../support/engines/free-port.ts'
import { LOCAL_TOKEN } from '../support/local-token.ts'
import { sharedEngine } from '../support/engines/shared.ts'
import { eventually } from '../support/eventually.ts'
import { startFlakyProxy, type FlakyProxy } from '../support/flaky-proxy.ts'
import { runChild } from '../support/run-sdk-child.ts'
import { makeBucket, objectsIn, s3Settings } from '../support/s3-bucket.ts'
import { startS3FaultProxy, type S3Fault, type S3FaultProxy } from '../support/s3-fault-proxy.ts'
import { clientIn, content, digest, digests, MemorySink, only, streamed, writeFiles } from '../support/sdk.ts'
import { tempDirectory, type TempDirectory } from '../support/temp-directory.ts'
import { startTestServer, type TestServer } from '../support/test-server.ts'

const MIB = 1024 * 1024
/** More than one request brings. */
const FILM = 9 * MIB + 7
/** Sealed and padded. */
const PARTS = 10
const SIZES = { film: FILM, photo: 900_000, note: 321, empty: 0 }
const SMALL = SIZES.photo + SIZES.note

let bucket: S3Connection
let home: TempDirectory
let server: TestServer
/** In front of the server, of the store, and once more of the store: of its calls. */
let proxy: FlakyProxy
let storeProxy: FlakyProxy
let faults: S3FaultProxy
let sealift: NodeSealift

beforeAll(async () => {
  bucket = await makeBucket(await sharedEngine(cephEngine))
}, 120_000)

beforeEach(async () => {
  home = await tempDirectory()
  faults = await startS3FaultProxy(bucket.endpoint)
  storeProxy = await startFlakyProxy(faults.url)
})

afterEach(async () => {
  await sealift[Symbol.asyncDispose]()
  await proxy[Symbol.asyncDispose]()
  await server.stop()
  await storeProxy[Symbol.asyncDispose]()
  await faults[Symbol.asyncDispose]()
  await home[Symbol.asyncDispose]()
})

interface Start {
  readonly publicEndpoint?: string
  readonly directUrlTtl?: string
  readonly tier?: Readonly<Record<string, number>>
}

async function start({ publicEndpoint = storeProxy.url, directUrlTtl = '5m', tier = {} }: Start = {}): Promise<void> {
  server = await startTestServer({
    storage: {
      kind: 's3',
      transfer: 'direct',
      directUrlTtl,
      s3: { ...s3Settings(bucket), publicEndpoint },
    },
    transfer: { partBytes: '1MiB' },
    tiers: { default: tier },
  })
  // The server has looked at its store.
  storeProxy.resetCounts()
  faults.resetCounts()
  proxy = await startFlakyProxy(server.url)
  sealift = clientIn(home.path, { server: proxy.url })
}

/** What passed between clients and server, whichever node it was. */
const passedBytes = (): number => proxy.sentBytes() + proxy.receivedBytes()

/** Bytes of media that passed the server so far, both ways, as it counts them itself. */
async function movedByServer(): Promise<number> {
  const page = await (await fetch(`${server.adminUrl ?? ''}/metrics`)).text()
  const counts = [...page.matchAll(/^sealift_transfer_bytes_total\{.*\} (\d+)$/gm)]
  return counts.reduce((sum, [, count]) => sum + Number(count), 0)
}

const usage = async (): Promise<{ uploads: number; downloads: number }> => {
  const { uploads, downloads } = (await sealift.limits()).usage
  return { uploads, downloads }
}

const idle = (): Promise<void> =>
  eventually('no slot is held', async () => {
    const { uploads, downloads } = await usage()
    return uploads === 0 && downloads === 0
  })

const callsOf = (method: string, path: RegExp): number =>
  proxy.requests.filter(line => line.startsWith(method) && path.test(line)).length

const asked = (): number => callsOf('POST', /\/v1\/media\/\w+\/direct/)

async function files(): Promise<string> {
  const from = join(home.path, 'from')
  await mkdir(from)
  await writeFiles(from, SIZES)
  return from
}

async function sendFiles(): Promise<string> {
  const from = await files()
  const items = Object.keys(SIZES).map(name => ({ name, path: join(from, name) }))
  return (await sealift.sendFiles(items)).link
}

async function receiveFiles(link: string): Promise<Record<string, string>> {
  const directory = join(home.path, `in ${Math.random()}`)
  const received = await sealift.receive(link, { directory })
  for (const { error } of received.items) if (error) throw error
  return digests(directory)
}

const expected = (): Record<string, string> =>
  Object.fromEntries(Object.entries(SIZES).map(([name, size]) => [name, digest(content(name, size))]))

const sendFilm = async (source: Uint8Array<ArrayBuffer> = content('film', FILM), maxDownloads?: number) =>
  (await sealift.send([{ name: 'film', source }], maxDownloads === undefined ? {} : { maxDownloads })).link

const film = (): string => digest(content('film', FILM))

async function downloadFilm(link: string, client: Sealift = sealift): Promise<string> {
  const parcel = await client.open(link)
  const sink = new MemorySink()
  await parcel.download(only(parcel), sink)
  return digest(sink.bytes)
}

describe('the bytes of large items', () => {
  test('pass the store alone, those of small ones the server, and all arrive', async () => {
    await start()
    const link = await sendFiles()
    expect(await receiveFiles(link)).toEqual(expected())
    // There and back, padded and sealed.
    expect(await movedByServer()).toBeLessThan(2 * SMALL * 1.06 + 20_000)
    expect(storeProxy.sentBytes()).toBeGreaterThan(FILM)
    expect(storeProxy.receivedBytes()).toBeGreaterThan(FILM)
    await idle()
  })

  test('of a length that nobody knows, and read as a stream or by ranges, likewise', async () => {
    await start()
    const bytes = content('film', FILM)
    const { link } = await sealift.send([{ name: 'film', source: streamed(bytes, 100_000) }])
    const parcel = await sealift.open(link)
    expect(digest(await parcel.bytes(only(parcel)))).toBe(film())
    expect(await movedByServer()).toBe(0)
    const range = { start: MIB / 2 - 5, end: 9 * MIB }
    const part = await new Response(parcel.stream(only(parcel), { range })).bytes()
    expect(digest(part)).toBe(digest(bytes.subarray(range.start, range.end)))
    expect(await movedByServer()).toBe(0)
    await idle()
  })

  test('pass the store with fetch too, as in a browser', async () => {
    await start()
    await using web = new Sealift({ server: proxy.url, token: LOCAL_TOKEN })
    const { link } = await web.send([{ name: 'film', source: content('film', FILM) }])
    expect(await downloadFilm(link, web)).toBe(film())
    expect(await movedByServer()).toBe(0)
    await idle()
  })

  test('pass the server for who wants it so', async () => {
    await start()
    await using plain = clientIn(home.path, { server: proxy.url, direct: false })
    const { link } = await plain.send([{ name: 'film', source: content('film', FILM) }])
    expect(await downloadFilm(link, plain)).toBe(film())
    expect(storeProxy.requests).toEqual([])
    expect(passedBytes()).toBeGreaterThan(2 * FILM)
  })

  test('cannot be changed by the store unnoticed', async () => {
    await start()
    const before = new Set(await objectsIn(bucket))
    const link = await sendFilm()
    const Key = (await objectsIn(bucket)).find(name => !before.has(name) && name.endsWith('/7'))
    const client = createS3Client(bucket)
    const stored = await client.send(new GetObjectCommand({ Bucket: bucket.bucket, Key }))
    const Body = (await stored.Body?.transformToByteArray()) ?? new Uint8Array()
    Body[4567] = (Body[4567] ?? 0) ^ 1
    await client.send(new PutObjectCommand({ Bucket: bucket.bucket, Key, Body }))
    client.destroy()
    await expect(downloadFilm(link)).rejects.toMatchObject({ code: 'damaged_media' })
    await idle()
  })
})

describe('addresses', () => {
  test('that expire mid-way are renewed', async () => {
    await start({ directUrlTtl: '2s' })
    const link = await sendFilm()
    const atOnce = (await downloadFilm(link), asked())
    storeProxy.delayMs = 250
    const slow = clientIn(home.path, { server: proxy.url, parallel: 2 })
    expect(await downloadFilm(link, slow)).toBe(film())
    await slow[Symbol.asyncDispose]()
    expect(asked()).toBeGreaterThan(2 * atOnce)
    // A part may have been refused too often on a busy machine.
    expect(await movedByServer()).toBeLessThan(FILM)
  })

  test.each<[string, string, S3Fault, number]>([
    ['that the store refuses are asked for anew', '5m', { how: 'status', status: 403, code: 'AccessDenied' }, 0],
    // A part may have been refused too often on a busy machine.
    ['that have expired when they reach the store are renewed', '1s', { how: 'late', ms: 1500 }, FILM - 1],
  ])('%s, each way', async (_, directUrlTtl, fault, mostBytes) => {
    await start({ directUrlTtl })
    // Each of some objects once each way: one that is refused again and again goes through the server.
    const once = new Set<string>()
    faults.faults = (call, _nth, path) => {
      if (once.has(`${call} ${path}`) || (call !== 'PUT' && call !== 'GET') || !/[27]$/.test(path)) return null
      once.add(`${call} ${path}`)
      return fault
    }
    const link = await sendFilm()
    expect(callsOf('POST', /\/parts\/\d+\/direct/)).toBeGreaterThan(PARTS)
    expect(await downloadFilm(link)).toBe(film())
    expect(once.size).toBeGreaterThan(2)
    expect(await movedByServer()).toBeLessThanOrEqual(mostBytes)
    await idle()
  })

  test('count as one download, however often they are asked for', async () => {
    await start({ directUrlTtl: '1s' })
    const link = await sendFilm(content('film', FILM), 1)
    storeProxy.delayMs = 100
    expect(await downloadFilm(link)).toBe(film())
    expect(asked()).toBeGreaterThan(1)
    await expect(downloadFilm(link)).rejects.toMatchObject({ code: 'downloads_exhausted' })
  })

  test('come one after the other where only one transfer is allowed at once', async () => {
    await start({ tier: { concurrentUploads: 1, concurrentDownloads: 1 } })
    const link = await sendFilm()
    expect(await downloadFilm(link)).toBe(film())
    expect(await movedByServer()).toBe(0)
    await idle()
  })
})

describe('a store that fails', () => {
  test('from the beginning is left alone: everything goes through the server', async () => {
    await start({ publicEndpoint: await closedPort() })
    const link = await sendFiles()
    expect(await receiveFiles(link)).toEqual(expected())
    expect(passedBytes()).toBeGreaterThan(2 * FILM)
    // What was found out holds for a while: the next one does not try.
    const tried = callsOf('POST', /\/parts\/\d+\/direct/)
    expect(await downloadFilm(await sendFilm())).toBe(film())
    expect(callsOf('POST', /\/parts\/\d+\/direct/)).toBe(tried)
    expect(asked()).toBe(0)
    await idle()
  })

  test('now and then costs another try', async () => {
    await start()
    faults.faults = (call, nth) => {
      // Before it has worked, it is taken for one that does not.
      if (call === 'PUT' && nth <= PARTS) return null
      if (call === 'PUT' && nth % 6 === 3) return { how: 'status', status: 503, code: 'SlowDown' }
      if (call === 'PUT' && nth % 6 === 5) return { how: 'lose-response' }
      if (call === 'GET' && nth % 6 === 4) return { how: 'reset-response', afterBytes: 300_000 }
      return call === 'GET' && nth % 6 === 0 ? { how: 'short-response', bytes: 400_000 } : null
    }
    await sendFilm()
    expect(await downloadFilm(await sendFilm())).toBe(film())
    expect(await movedByServer()).toBeLessThan(FILM)
    await idle()
  })

  test('to respond for what it has stored is asked once more, and no part passes the server', async () => {
    await start()
    await sendFilm()
    storeProxy.resetCounts()
    faults.resetCounts()
    faults.faults = (call, nth) => (call === 'PUT' && nth <= 3 ? { how: 'lose-response' } : null)
    expect(await downloadFilm(await sendFilm())).toBe(film())
    expect(faults.calls('PUT')).toBe(PARTS + 3)
    expect(await movedByServer()).toBe(0)
    await idle()
  })

  test('in the middle is left alone from then on, and all bytes arrive', async () => {
    await start()
    faults.faults = (call, nth) =>
      call === 'PUT' && nth > PARTS + 2 ? { how: 'status', status: 500, code: 'InternalError' } : null
    await sendFilm()
    expect(await downloadFilm(await sendFilm())).toBe(film())
    expect(passedBytes()).toBeGreaterThan(MIB)
    // Two films were sent and one was read, the first sent past the server.
    expect(passedBytes()).toBeLessThan(2.2 * FILM)
    await idle()
  })

  test('silently, while it is read, is waited for a few times and then left alone', async () => {
    await start()
    const link = await sendFilm()
    await using hasty = clientIn(home.path, { server: proxy.url, stallTimeoutMs: 1000 })
    faults.faults = (call, nth) => (call === 'GET' && nth > 3 ? { how: 'stall-response', afterBytes: 100_000 } : null)
    expect(await downloadFilm(link, hasty)).toBe(film())
    expect(faults.calls('GET')).toBeLessThan(40)
    await idle()
  })
})

describe('a sender that is killed', () => {
  test('does not send again what the store has', async () => {
    await start()
    const from = await files()
    await pause(150)
    storeProxy.delayMs = 30
    const args = ['send', home.path, proxy.url, ...Object.keys(SIZES).map(name => join(from, name))]
    expect(await runChild(args, () => proxy.doneResponses() >= 4)).toBeNull()
    const response = await runChild(args, () => false)
    expect(response).toMatch(/^resumed http/)
    const puts = storeProxy.requests.filter(line => line.startsWith('PUT ')).map(line => line.split('?')[0])
    // Four were known to be there; the others may all have been under way.
    expect(puts.length - new Set(puts).size).toBeLessThanOrEqual(new Set(puts).size - 4)
    expect(await movedByServer()).toBeLessThan(2 * SMALL * 1.06 + 20_000)
    expect(await receiveFiles(response?.split(' ')[1] ?? '')).toEqual(expected())
  })

  test('leaves no slot behind once the parts it had begun are sent by the next one', async () => {
    await start()
    const from = await files()
    await pause(150)
    const args = ['send', home.path, proxy.url, join(from, 'film')]
    const puts = (): number => storeProxy.requests.filter(line => line.startsWith('PUT ')).length
    // The store takes the parts; that they are there is not told any more.
    proxy.delayMs = 60
    expect(await runChild(args, () => puts() >= 5)).toBeNull()
    proxy.delayMs = 0
    expect((await usage()).uploads).toBeGreaterThan(0)
    expect(await runChild(args, () => false)).toMatch(/^resumed http/)
    await idle()
  })
})

describe('an abort', () => {
  test('of a send gives its slots back at once', async () => {
    await start()
    storeProxy.delayMs = 200
    const stop = new AbortController()
    const sending = sealift.send([{ name: 'film', source: content('film', FILM) }], { signal: stop.signal })
    await eventually('parts are in flight', async () => (await usage()).uploads > 2)
    stop.abort()
    await expect(sending).rejects.toMatchObject({ code: 'aborted' })
    await idle()
  })

  test('of a download too', async () => {
    await start()
    const link = await sendFilm()
    storeProxy.delayMs = 200
    const parcel = await sealift.open(link)
    const stop = new AbortController()
    const reading = parcel.download(only(parcel), new MemorySink(), { signal: stop.signal })
    await eventually('it has begun', async () => (await usage()).downloads > 0)
    stop.abort()
    await expect(reading).rejects.toMatchObject({ code: 'aborted' })
    await idle()
  })

  test('of a stream that is read no further too', async () => {
    await start()
    const link = await sendFilm()
    const parcel = await sealift.open(link)
    const reader = parcel.stream(only(parcel)).getReader()
    expect((await reader.read()).done).toBe(false)
    expect((await usage()).downloads).toBeGreaterThan(0)
    await reader.cancel()
    await idle()
  })
})

test('progress of a direct send counts each byte once', async () => {
  await start()
  faults.faults = (call, nth) => (call === 'PUT' && nth % 4 === 2 ? { how: 'lose-response' } : null)
  let last = { bytes: 0, totalBytes: 0 as number | null }
  const most = { bytes: 0 }
  await sealift.send([{ name: 'film', source: content('film', FILM) }], {
    onProgress: progress => {
      last = progress
      most.bytes = Math.max(most.bytes, progress.bytes)
    },
  })
  expect(last).toMatchObject({ bytes: FILM, totalBytes: FILM })
  expect(most.bytes).toBe(FILM)
})

/** An address at which nothing listens. */
const closedPort = async (): Promise<string> => `http://127.0.0.1:${await freePort()}`

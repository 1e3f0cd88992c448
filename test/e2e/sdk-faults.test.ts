import { appendFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'

import { afterEach, beforeEach, describe, expect, test } from 'vitest'

import type { NodeSealift } from '../../src/client/node/index.ts'
import { eventually } from '../support/eventually.ts'
import { startFlakyProxy } from '../support/flaky-proxy.ts'
import type { FlakyProxy } from '../support/flaky-proxy.ts'
import { clientIn, content, digest, digests, MemorySink, only, streamed, writeFiles } from '../support/sdk.ts'
import { tempDirectory } from '../support/temp-directory.ts'
import type { TempDirectory } from '../support/temp-directory.ts'
import { startTestServer } from '../support/test-server.ts'
import type { TestServer } from '../support/test-server.ts'

const MIB = 1024 * 1024

let home: TempDirectory
let server: TestServer
let proxy: FlakyProxy
let sealift: NodeSealift

const start = (): Promise<TestServer> =>
  startTestServer({ transfer: { partBytes: '1MiB', stopGrace: '200ms' } }, { dataDirectory: join(home.path, 'data') })

beforeEach(async () => {
  home = await tempDirectory()
  server = await start()
  proxy = await startFlakyProxy(server.url)
  sealift = clientIn(home.path, { server: proxy.url })
})

afterEach(async () => {
  await sealift[Symbol.asyncDispose]()
  await proxy[Symbol.asyncDispose]()
  await server.stop()
  await home[Symbol.asyncDispose]()
})

const sources = (): { name: string; bytes: Uint8Array<ArrayBuffer> }[] => [
  { name: 'large', bytes: content('cut large', 14 * MIB + 5) },
  ...Array.from({ length: 12 }, (_, at) => ({ name: `small ${at}`, bytes: content(`cut ${at}`, 40_000 * at) })),
]

const transfersIdle = async (): Promise<boolean> => {
  const { usage } = await sealift.limits()
  return usage.uploads === 0 && usage.downloads === 0
}

describe('connections that are cut mid-body', () => {
  test('cost a send nothing but the bytes under way', async () => {
    const items = sources()
    proxy.faults = index => (index < 10 ? { way: 'up', afterBytes: 20_000 + index * 1000, how: 'cut' } : null)
    const sent = await sealift.send(items.map(({ name, bytes }) => ({ name, source: bytes })))
    expect(proxy.cuts()).toBeGreaterThan(3)
    proxy.faults = null
    const received = await sealift.receive(sent.link, { directory: join(home.path, 'in') })
    expect(received.complete).toBe(true)
    expect(await digests(join(home.path, 'in'))).toEqual(
      Object.fromEntries(items.map(({ name, bytes }) => [name, digest(bytes)])),
    )
  })

  test('cost a stream nothing either: what was read of it is kept until it is stored', async () => {
    const bytes = content('cut stream', 12 * MIB)
    proxy.faults = index => (index < 12 ? { way: 'up', afterBytes: 200_000 + index * 50_000, how: 'cut' } : null)
    const sent = await sealift.send([{ name: 's', source: streamed(bytes, 64_000) }])
    expect(proxy.cuts()).toBeGreaterThan(3)
    const parcel = await sealift.open(sent.link)
    const sink = new MemorySink()
    await parcel.download(only(parcel), sink)
    expect(digest(sink.bytes)).toBe(digest(bytes))
  })

  test('cost a download at most a chunk each', async () => {
    const items = sources()
    const sent = await sealift.send(items.map(({ name, bytes }) => ({ name, source: bytes })))
    const total = items.reduce((sum, { bytes }) => sum + bytes.byteLength, 0)
    proxy.resetCounts()
    proxy.cutAll()
    let left = 12
    proxy.faults = index => ((left -= 1) >= 0 ? { way: 'down', afterBytes: 30_000 + index * 3000, how: 'cut' } : null)
    const received = await sealift.receive(sent.link, { directory: join(home.path, 'in') })
    expect(received.complete).toBe(true)
    expect(proxy.cuts()).toBeGreaterThan(3)
    expect(await digests(join(home.path, 'in'))).toEqual(
      Object.fromEntries(items.map(({ name, bytes }) => [name, digest(bytes)])),
    )
    const perCut = 256 * 1024 + 64 * 1024
    expect(proxy.receivedBytes()).toBeLessThan(total * 1.06 + (proxy.cuts() + items.length) * perCut + MIB)
  })

  test('right after the response was lost make nothing twice', async () => {
    // Every connection dies when the first bytes of an response come: what was asked is done all the same.
    let left = 6
    proxy.faults = () => ((left -= 1) >= 0 ? { way: 'down', afterBytes: 0, how: 'cut' } : null)
    const bytes = content('once', 100_000)
    await sealift.send([
      { name: 'a', source: bytes },
      { name: 'b', source: content('twice', 9 * MIB) },
    ])
    expect(proxy.cuts()).toBe(6)
    const { usage } = await sealift.limits()
    expect(usage.storedBytes).toBeLessThan((9 * MIB + bytes.byteLength) * 1.06)
    expect(usage.pendingUploads).toBe(0)
  })

  test('differ from silence: an idle connection is dropped', async () => {
    await using impatient = clientIn(home.path, { server: proxy.url, stallTimeoutMs: 1200 })
    let left = 2
    proxy.faults = () => ((left -= 1) >= 0 ? { way: 'up', afterBytes: 100_000, how: 'stall' } : null)
    const bytes = content('stalled', 3 * MIB)
    const sent = await impatient.send([{ name: 's', source: bytes }])
    left = 1
    proxy.cutAll()
    proxy.faults = () => ((left -= 1) >= 0 ? { way: 'down', afterBytes: 100_000, how: 'stall' } : null)
    const parcel = await impatient.open(sent.link)
    const sink = new MemorySink()
    await parcel.download(only(parcel), sink)
    expect(digest(sink.bytes)).toBe(digest(bytes))
  })
})

describe('a server that is started anew', () => {
  const restart = async (): Promise<void> => {
    await server.stop({ keepData: true })
    server = await start()
    proxy.target = server.url
    proxy.cutAll()
  }

  test('in the middle of a send is gone on with', async () => {
    const bytes = content('restart send', 24 * MIB)
    const restarted: Promise<void>[] = []
    const sent = await sealift.send([{ name: 'r', source: bytes }], {
      onProgress: progress => {
        if (progress.bytes > 4 * MIB && restarted.length === 0) restarted.push(restart())
      },
    })
    expect(restarted.length).toBe(1)
    await restarted[0]
    const parcel = await sealift.open(sent.link)
    const sink = new MemorySink()
    await parcel.download(only(parcel), sink)
    expect(digest(sink.bytes)).toBe(digest(bytes))
    // Parts that were stored before the restart were not sent again, but those whose responses it cut off. How often a
    // part is refused while the server is away is no matter of the parts.
    const puts = proxy.requests.filter(line => line.startsWith('PUT'))
    const distinct = new Set(puts.map(line => line.split(' ')[1]))
    expect(distinct.size).toBe(25)
    expect(proxy.doneResponses()).toBeLessThanOrEqual(distinct.size + 6)
  })

  test('in the middle of a receive is gone on with', async () => {
    const bytes = content('restart get', 24 * MIB)
    const sent = await sealift.send([{ name: 'r', source: bytes }])
    const restarted: Promise<void>[] = []
    const received = await sealift.receive(sent.link, {
      directory: join(home.path, 'in'),
      onProgress: progress => {
        if (progress.bytes > 2 * MIB && restarted.length === 0) restarted.push(restart())
      },
    })
    expect(restarted.length).toBe(1)
    await restarted[0]
    expect(received.items[0]?.error).toBeNull()
    expect(await digests(join(home.path, 'in'))).toEqual({ r: digest(bytes) })
  })
})

describe('an abort', () => {
  test('of a send leaves nothing on the server', async () => {
    const before = (await sealift.limits()).usage
    proxy.delayMs = 20
    const stop = new AbortController()
    const sending = sealift.send(
      sources().map(({ name, bytes }) => ({ name, source: bytes })),
      {
        signal: stop.signal,
        onProgress: progress => {
          if (progress.itemsDone > 0 && progress.bytes > MIB) stop.abort()
        },
      },
    )
    await expect(sending).rejects.toMatchObject({ code: 'aborted' })
    await eventually('slots are free', transfersIdle)
    await eventually('nothing is kept', async () => {
      const { usage } = await sealift.limits()
      return usage.storedBytes === before.storedBytes && usage.reservedBytes === 0 && usage.pendingUploads === 0
    })
  })

  test('of a receive leaves nothing on the disk', async () => {
    const sent = await sealift.send(sources().map(({ name, bytes }) => ({ name, source: bytes })))
    const stop = new AbortController()
    const into = join(home.path, 'in')
    // So much of every connection that small items arrive, and never the large one: it cannot be over before the abort.
    proxy.cutAll()
    proxy.faults = () => ({ way: 'down', afterBytes: MIB, how: 'stall' })
    const receiving = sealift.receive(sent.link, { directory: into, signal: stop.signal })
    receiving.catch(() => undefined)
    await eventually('some has arrived', async () => {
      const names = await readdir(into).catch(() => [])
      return names.some(name => name.startsWith('small')) && names.some(name => name.startsWith('.'))
    })
    stop.abort()
    await expect(receiving).rejects.toMatchObject({ code: 'aborted' })
    const left = await readdir(into)
    expect(left.filter(name => name.startsWith('.'))).toEqual([])
    expect(left).not.toContain('large')
    // What had its name already is whole.
    const expected = Object.fromEntries(sources().map(({ name, bytes }) => [name, digest(bytes)]))
    expect(expected).toMatchObject(await digests(into))
    await eventually('slots are free', transfersIdle)
  })

  test('of a stream that nobody reads ends it at once', async () => {
    const sent = await sealift.send([{ name: 's', source: content('unread', 10 * MIB) }])
    const parcel = await sealift.open(sent.link)
    const stop = new AbortController()
    const stuck = new WritableStream({ write: () => new Promise(() => undefined) })
    const download = parcel.download(only(parcel), stuck, { signal: stop.signal })
    const reader = parcel.stream(only(parcel)).getReader()
    await reader.read()
    await reader.cancel()
    stop.abort()
    await expect(download).rejects.toMatchObject({ code: 'aborted' })
    await eventually('slots are free', transfersIdle)
  })

  test('before anything began asks the server for nothing', async () => {
    proxy.resetCounts()
    const signal = AbortSignal.abort()
    await expect(sealift.send([{ name: 'x', source: new Uint8Array(9) }], { signal })).rejects.toMatchObject({
      code: 'aborted',
    })
    expect(proxy.requests.filter(line => line.startsWith('POST'))).toEqual([])
  })
})

test('a small item is not held up by a large one before it', async () => {
  const done: string[] = []
  const sent = await sealift.send(
    [
      { name: 'film', source: content('film', 30 * MIB) },
      { name: 'note', source: content('note', 500) },
    ],
    { publishFirst: true },
  )
  const parcel = await sealift.open(sent.link)
  await parcel.downloadAll({
    open: item => Promise.resolve({ sink: new MemorySink(), settle: () => (done.push(item.name), Promise.resolve()) }),
  })
  expect(done).toEqual(['note', 'film'])
})

test('a file that changes while it is sent fails the send, and nothing of it stays', async () => {
  const files = await writeFiles(home.path, { growing: 20 * MIB })
  const path = files[0]?.path ?? ''
  const changed: Promise<void>[] = []
  const sending = sealift.sendFiles(files, {
    onProgress: () => {
      if (changed.length === 0) changed.push(appendFile(path, 'more'))
    },
  })
  await expect(sending).rejects.toMatchObject({ code: 'file_changed' })
  await changed[0]
  // Sending it again takes it as it is now.
  const sent = await sealift.sendFiles(files)
  const parcel = await sealift.open(sent.link)
  expect(parcel.items[0]?.bytes).toBe(20 * MIB + 4)
})

test('a server that refuses says so at once, without repeats', async () => {
  await server.reconfigure({ tiers: { default: { maxBytes: { other: '1MiB' } } } })
  proxy.resetCounts()
  const sending = sealift.send([{ name: 'big', source: content('big', 2 * MIB) }])
  const error: unknown = await sending.catch((thrown: unknown) => thrown)
  expect(error).toMatchObject({ code: 'too_large', context: { item: 'big', index: 0, value: MIB } })
  // A message may end up in a log.
  expect(String(error)).not.toContain('big')
  expect(proxy.requests.filter(line => line.startsWith('POST')).length).toBe(1)
})

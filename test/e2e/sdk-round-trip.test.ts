import { mkdir, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

import * as fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import type { NodeSealift, SendItem } from '../../src/client/node/index.ts'
import { clientIn, content, digest, digests, MemorySink, only, streamed, writeFiles } from '../support/sdk.ts'
import { everythingStored } from '../support/stored-bytes.ts'
import { tempDirectory } from '../support/temp-directory.ts'
import type { TempDirectory } from '../support/temp-directory.ts'
import { startTestServer } from '../support/test-server.ts'
import type { TestServer } from '../support/test-server.ts'

const KIB = 1024
const MIB = 1024 * KIB
const CHUNK_PLAIN = 256 * KIB - 16

let server: TestServer
let home: TempDirectory
let sealift: NodeSealift

beforeAll(async () => {
  server = await startTestServer({ transfer: { partBytes: '1MiB' } })
  home = await tempDirectory()
  sealift = clientIn(home.path, { server: server.url })
})

afterAll(async () => {
  await sealift[Symbol.asyncDispose]()
  await server.stop()
  await home[Symbol.asyncDispose]()
})

const newFolder = async (name: string): Promise<string> => {
  const path = join(home.path, name)
  await mkdir(path, { recursive: true })
  return path
}

describe('what is sent comes back byte for byte', () => {
  const size = fc.oneof(
    fc.constantFrom(0, 1, 500, 541, 542),
    fc.integer({ min: -2, max: 2 }).map(near => CHUNK_PLAIN - 40 + near),
    fc.integer({ min: -2, max: 2 }).map(near => 4 * CHUNK_PLAIN - 40 + near),
    fc.integer({ min: 0, max: 3 * MIB }),
  )
  const name = fc.oneof(
    fc.constantFrom(
      'a b.txt',
      '😀.jpg',
      '../up.txt',
      '/etc/passwd',
      'x/y/z.bin',
      'A.txt',
      'a.TXT',
      'nul',
      '\u0000',
      '..',
    ),
    fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 }),
    fc.constant('n'.repeat(255)),
    fc.constant('ü'.repeat(200)),
  )
  const kind = fc.constantFrom('bytes', 'blob', 'stream')

  test('any mix of sizes, names and sources, under names that stay in the folder', async () => {
    let round = 0
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(size, name, kind), { minLength: 1, maxLength: 6 }), async things => {
        round += 1
        const contents = things.map(([length], index) => content(`${round}/${index}`, length))
        const items = things.map(([, name, kind], index): SendItem => {
          const bytes = contents[index] ?? new Uint8Array(0)
          return {
            name,
            source: kind === 'bytes' ? bytes : kind === 'blob' ? new Blob([bytes]) : streamed(bytes, 70_000),
          }
        })
        const sent = await sealift.send(items, { padding: round % 3 !== 0 })
        expect(sent.bytes).toBe(contents.reduce((sum, bytes) => sum + bytes.byteLength, 0))
        const folder = join(home.path, `mix-${round}`)
        const received = await sealift.receive(sent.link, { directory: folder })
        expect(received.complete).toBe(true)
        for (const { item, path } of received.items) {
          expect(path?.startsWith(`${folder}/`)).toBe(true)
          expect(item.name).toBe(things[item.index]?.[1])
          expect(digest(await readFile(path ?? ''))).toBe(digest(contents[item.index] ?? new Uint8Array(0)))
        }
        const files = Object.keys(await digests(folder))
        expect(files.length).toBe(things.length)
        expect((await readdir(home.path)).sort()).not.toContain('up.txt')
      }),
      { numRuns: 12 },
    )
  })

  test('a large one, in many parts and ranges', async () => {
    const bytes = content('large', 21 * MIB + 12_345)
    const sent = await sealift.send([{ name: 'large.bin', source: bytes }])
    const parcel = await sealift.open(sent.link)
    const sink = new MemorySink()
    await parcel.download(only(parcel), sink)
    expect(digest(sink.bytes)).toBe(digest(bytes))
  })

  test('a stream whose length nobody knows, larger than memory is given for it', async () => {
    const bytes = content('long stream', 13 * MIB + 1)
    const sent = await sealift.send([{ name: 'stream.bin', source: streamed(bytes, 100_000) }])
    const parcel = await sealift.open(sent.link)
    const item = only(parcel)
    expect(item.bytes).toBe(bytes.byteLength)
    const pieces: Uint8Array[] = []
    await parcel.download(item, new WritableStream({ write: piece => void pieces.push(piece) }))
    expect(digest(Buffer.concat(pieces))).toBe(digest(bytes))
  })

  test('any range of it', async () => {
    const bytes = content('ranges', 3 * MIB + 77)
    const sent = await sealift.send([{ name: 'r', source: bytes }])
    const parcel = await sealift.open(sent.link)
    const item = only(parcel)
    await fc.assert(
      fc.asyncProperty(fc.nat(bytes.byteLength + 10), fc.nat(bytes.byteLength + 10), async (a, b) => {
        const range = { start: Math.min(a, b), end: Math.max(a, b) }
        const pieces: Uint8Array[] = []
        for await (const piece of parcel.stream(item, { range })) pieces.push(piece)
        expect(Buffer.concat(pieces).equals(bytes.subarray(range.start, range.end))).toBe(true)
      }),
      { numRuns: 15 },
    )
  })
})

test('files keep what is in the folder: a second receive goes beside the first', async () => {
  const from = await newFolder('keep-from')
  const files = await writeFiles(from, { 'a.txt': 10, 'b.txt': 20 })
  const sent = await sealift.sendFiles(files)
  const into = await newFolder('keep-into')
  await sealift.receive(sent.link, { directory: into })
  await sealift.receive(sent.link, { directory: into })
  expect(Object.keys(await digests(into)).sort()).toEqual(['a (2).txt', 'a.txt', 'b (2).txt', 'b.txt'])
})

test('previews and thumbnails arrive; nothing of them is on the server in the clear', async () => {
  const thumbnail = content('thumbnail', 3000)
  const sent = await sealift.send([
    {
      name: 'secret-name.jpg',
      type: 'image/jpeg',
      source: content('picture', 50_000),
      thumbnail,
      preview: { thumbHash: '1QcSHQRnh493V4dIh4eXh1h4kJUI', width: 640, height: 480 },
    },
  ])
  const parcel = await sealift.open(sent.link)
  const item = only(parcel)
  expect(item).toMatchObject({
    type: 'image/jpeg',
    hasThumbnail: true,
    preview: { width: 640 },
  })
  expect(digest((await parcel.thumbnail(item)) ?? new Uint8Array(0))).toBe(digest(thumbnail))
  for (const stored of await everythingStored(server.live.current)) {
    for (const secret of ['secret-name', 'image/jpeg', '1QcSHQRnh493V4dIh4eXh1h4kJUI']) {
      expect(stored.includes(secret)).toBe(false)
    }
  }
})

describe('links', () => {
  test('a forwarded one outlives the first, without a byte moved again', async () => {
    const bytes = content('forwarded', 300_000)
    const first = await sealift.send([{ name: 'f', source: bytes, thumbnail: content('t', 99) }])
    const before = (await sealift.limits()).usage.storedBytes
    const second = await sealift.forward(first.link, { ttlSeconds: 3600 })
    // Its manifest is charged, the items are not once more.
    const added = (await sealift.limits()).usage.storedBytes - before
    expect(added).toBeGreaterThan(0)
    expect(added).toBeLessThan(2000)
    expect(second.link).not.toBe(first.link)
    await sealift.delete(first.link)
    await expect(sealift.open(first.link)).rejects.toMatchObject({ code: 'gone' })
    const parcel = await sealift.open(second.link)
    const item = only(parcel)
    expect(digest(await parcel.bytes(item))).toBe(digest(bytes))
    expect(await parcel.thumbnail(item)).not.toBeNull()
  })

  test('are deleted by their sender alone', async () => {
    const sent = await sealift.send([{ name: 'd', source: content('d', 10) }])
    await using elsewhere = await tempDirectory()
    await using stranger = clientIn(elsewhere.path, { server: server.url })
    await expect(stranger.delete(sent.link)).rejects.toMatchObject({ code: 'not_found' })
    await stranger.delete(sent.link, sent.ownerSecret)
    await expect(sealift.open(sent.link)).rejects.toMatchObject({ code: 'gone' })
    await sealift.delete(sent.link)
  })

  test('with the wrong key open nothing', async () => {
    const sent = await sealift.send([{ name: 'k', source: content('k', 10) }])
    const wrong = `${sent.link.slice(0, -43)}${'A'.repeat(43)}`
    await expect(sealift.open(wrong)).rejects.toMatchObject({ code: 'damaged_media' })
  })

  test('count one download however many ranges it takes', async () => {
    const bytes = content('counted', 20 * MIB)
    const sent = await sealift.send([{ name: 'c', source: bytes }], { maxDownloads: 2 })
    for (let round = 0; round < 2; round += 1) {
      const parcel = await sealift.open(sent.link)
      const sink = new MemorySink()
      await parcel.download(only(parcel), sink)
      expect(sink.bytes.byteLength).toBe(bytes.byteLength)
    }
    const parcel = await sealift.open(sent.link)
    const third = parcel.download(only(parcel), new MemorySink())
    await expect(third).rejects.toMatchObject({ code: 'downloads_exhausted' })
  })
})

describe('a parcel that is published first', () => {
  test('is followed while it is sent, item by item', async () => {
    const small = content('small', 1000)
    const large = content('large follow', 12 * MIB)
    const tail = content('tail', 11 * MIB)
    const gate = Promise.withResolvers<void>()
    const slow = heldBack(tail, 10 * MIB, gate.promise)
    const published = Promise.withResolvers<string>()
    const sending = sealift.send(
      [
        { name: 'small', source: small },
        { name: 'large', source: large },
        { name: 'stream', source: slow },
      ],
      { publishFirst: true, onPublished: ({ link }) => published.resolve(link) },
    )
    const parcel = await sealift.open(await published.promise)
    expect(parcel.items.map(item => item.state)).toEqual(['sending', 'sending', 'sending'])
    const sinks = [new MemorySink(), new MemorySink(), new MemorySink()]
    const all = parcel.downloadAll({
      open: item => Promise.resolve({ sink: sinks[item.index] ?? new MemorySink() }),
    })
    // Bytes of the stream are there before its sender has them all.
    await expect.poll(() => sinks[2]?.bytes.byteLength ?? 0, { timeout: 20_000 }).toBeGreaterThan(MIB)
    gate.resolve()
    const results = await all
    expect(results.map(result => result.ok)).toEqual([true, true, true])
    expect(sinks.map(sink => digest(sink.bytes))).toEqual([small, large, tail].map(digest))
    await sending
    let last = parcel
    for (let next = await parcel.next({ waitSeconds: 1 }); next; next = await last.next({ waitSeconds: 1 })) last = next
    expect(last.complete).toBe(true)
    expect(last.version).toBeGreaterThan(parcel.version)
  })

  test('tells its followers when the sender gives up', async () => {
    const stop = new AbortController()
    const published = Promise.withResolvers<string>()
    const sending = sealift.send(
      [{ name: 'never', source: heldBack(content('never', 12 * MIB), 10 * MIB, new Promise(() => undefined)) }],
      { publishFirst: true, signal: stop.signal, onPublished: ({ link }) => published.resolve(link) },
    )
    const parcel = await sealift.open(await published.promise)
    const sink = new MemorySink()
    const following = parcel.download(only(parcel), sink)
    const outcome = following.catch((error: unknown) => error)
    await expect.poll(() => sink.bytes.byteLength, { timeout: 20_000 }).toBeGreaterThan(0)
    stop.abort()
    await expect(sending).rejects.toMatchObject({ code: 'aborted' })
    expect(await outcome).toMatchObject({ code: 'sender_gone' })
  })
})

test('progress counts plain bytes up to the end, and items', async () => {
  const reports: { bytes: number; total: number | null; done: number }[] = []
  const items = [12 * MIB, 1000, 0].map((size, index) => ({ name: `${index}`, source: content(`p${index}`, size) }))
  const sent = await sealift.send(items, {
    onProgress: ({ bytes, totalBytes, itemsDone }) => reports.push({ bytes, total: totalBytes, done: itemsDone }),
  })
  expect(reports.at(-1)).toEqual({ bytes: sent.bytes, total: sent.bytes, done: 3 })
  reports.length = 0
  await sealift.receive(sent.link, {
    directory: join(home.path, 'progress'),
    onProgress: ({ bytes, totalBytes, itemsDone }) => reports.push({ bytes, total: totalBytes, done: itemsDone }),
  })
  expect(reports.at(-1)).toEqual({ bytes: sent.bytes, total: sent.bytes, done: 3 })
})

/** A stream that waits for `go` after `afterBytes`. */
function heldBack(bytes: Uint8Array, afterBytes: number, go: Promise<void>): ReadableStream<Uint8Array> {
  let at = 0
  return new ReadableStream({
    async pull(controller) {
      if (at >= afterBytes) await go
      if (at >= bytes.byteLength) return controller.close()
      controller.enqueue(bytes.subarray(at, at + 256 * KIB))
      at += 256 * KIB
    },
  })
}

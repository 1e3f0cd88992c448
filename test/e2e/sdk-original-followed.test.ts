import { existsSync } from 'node:fs'
import { readdir, stat, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { afterEach, beforeEach, expect, test } from 'vitest'

import type { NodeSealift, Progress, SendItem, SendOptions } from '../../src/client/node/index.ts'
import { eventually } from '../support/eventually.ts'
import { startFlakyProxy } from '../support/flaky-proxy.ts'
import type { FlakyProxy } from '../support/flaky-proxy.ts'
import { filmAndFile, outgoingOriginal } from '../support/outgoing-original.ts'
import { runChild } from '../support/run-sdk-child.ts'
import { clientIn, digest, digests, MemorySink, only, streamed } from '../support/sdk.ts'
import { tempDirectory, type TempDirectory } from '../support/temp-directory.ts'
import { startTestServer, type TestServer } from '../support/test-server.ts'

const MIB = 1024 * 1024
/** Padding of a film whose length was not known, at most; what is read again at borders; the list; manifests. */
const ONCE = 1.06
const ASIDE_BYTES = 1.5 * MIB

let server: TestServer
let home: TempDirectory
let proxy: FlakyProxy
let sender: NodeSealift
let receiver: NodeSealift
let directory: string

beforeEach(async () => {
  server = await startTestServer({ tiers: { default: { uploadBytesPerSecond: '64MiB' } } })
  home = await tempDirectory()
  proxy = await startFlakyProxy(server.url)
  sender = clientIn(join(home.path, 'sender'), { server: server.url })
  receiver = clientIn(join(home.path, 'receiver'), { server: proxy.url })
  directory = join(home.path, 'out')
})

afterEach(async () => {
  await sender[Symbol.asyncDispose]()
  await receiver[Symbol.asyncDispose]()
  await proxy[Symbol.asyncDispose]()
  await server[Symbol.asyncDispose]()
  await home[Symbol.asyncDispose]()
})

const { film, original } = filmAndFile(240)
const whole = { 'film.mp4': digest(original) }
const SHARE = 0.8

/** The film up to `SHARE` of it; then the rest, or its end, when told. */
function halting(): { stream: ReadableStream<Uint8Array<ArrayBuffer>>; more: PromiseWithResolvers<void> } {
  const more = Promise.withResolvers<void>()
  more.promise.catch(() => undefined)
  const border = Math.floor(film.byteLength * SHARE)
  const stream = new ReadableStream<Uint8Array<ArrayBuffer>>({
    async start(controller) {
      controller.enqueue(film.slice(0, border))
      try {
        await more.promise
        controller.enqueue(film.slice(border))
        controller.close()
      } catch (error) {
        controller.error(error)
      }
    },
  })
  return { stream, more }
}

function filmOf({ film }: SendItem): NonNullable<SendItem['film']> {
  if (!film) throw new Error('This item has no film')
  return film
}

interface Sending {
  /** By way of the proxy. */
  readonly link: string
  readonly sent: Promise<unknown>
}

/** Sends an item that is published first, and may be downloaded once. */
async function send(item: SendItem, options: SendOptions = {}): Promise<Sending> {
  const link = Promise.withResolvers<string>()
  const sent = sender.send([item], {
    publishFirst: true,
    maxDownloads: 1,
    onPublished: published => link.resolve(published.link),
    ...options,
  })
  sent.catch((error: unknown) => link.reject(error))
  return { link: (await link.promise).replace(server.url, proxy.url), sent }
}

async function keptFilms(): Promise<string[]> {
  const names = existsSync(directory) ? await readdir(directory) : []
  return names.filter(name => name.endsWith('.film.sealift-part'))
}

async function keptBytes(): Promise<number> {
  const [name] = await keptFilms()
  return name === undefined ? 0 : (await stat(join(directory, name))).size
}

const fetched = (share: number): Promise<void> =>
  eventually(`${share} of the film is fetched`, () => proxy.receivedBytes() >= film.byteLength * share)

test('a film is fetched while it is sent, once, and its file is there soon after', async () => {
  const { stream, more } = halting()
  const { link, sent } = await send(outgoingOriginal(stream, original))
  const told: Progress[] = []
  const receiving = receiver.receive(link, { directory, onProgress: progress => void told.push(progress) })
  await fetched(0.7)
  await eventually('what came is kept', async () => (await keptBytes()) >= film.byteLength * 0.7)
  more.resolve()
  await sent
  expect(await receiving).toMatchObject({ complete: true })
  expect(await digests(directory)).toEqual(whole)
  expect(proxy.receivedBytes()).toBeLessThan(film.byteLength * ONCE + ASIDE_BYTES)
  expect(told.filter(({ bytes, totalBytes }) => totalBytes !== null && bytes > totalBytes)).toEqual([])
  // What moved while it was sent is told with what moves next: reports are not more than ten a second.
  expect(told.some(({ bytes }) => bytes > 0 && bytes < original.byteLength)).toBe(true)
  expect(told.at(-1)).toMatchObject({ bytes: original.byteLength, totalBytes: original.byteLength })
})

test('a receiver that is killed goes on with the film it has kept', async () => {
  const { stream, more } = halting()
  const { link, sent } = await send(outgoingOriginal(stream, original))
  const killed = runChild(['receive', join(home.path, 'receiver'), proxy.url, link, directory], () => {
    return proxy.receivedBytes() >= film.byteLength * 0.7
  })
  expect(await killed).toBeNull()
  const kept = await keptFilms()
  expect(kept).toHaveLength(1)
  expect((await stat(join(directory, kept[0] ?? ''))).mode & 0o777).toBe(0o600)
  more.resolve()
  await sent
  proxy.resetCounts()
  expect(await receiver.receive(link, { directory })).toMatchObject({ complete: true })
  expect(await digests(directory)).toEqual(whole)
  expect(proxy.receivedBytes()).toBeLessThan(film.byteLength * (ONCE - 0.6) + ASIDE_BYTES)
})

test('a receive that is stopped leaves nothing behind, unless it is to be gone on with', async () => {
  const { stream, more } = halting()
  const { link, sent } = await send(outgoingOriginal(stream, original))
  for (const keepOnAbort of [true, false]) {
    const stop = new AbortController()
    const options = { directory, keepOnAbort, signal: stop.signal }
    const before = proxy.requests.length
    const receiving = receiver.receive(link, options).catch((error: unknown) => error)
    const asks = (): boolean => proxy.requests.slice(before).some(line => line.startsWith('GET /v1/media/'))
    await eventually('half of the film is there', async () => asks() && (await keptBytes()) >= film.byteLength / 2)
    stop.abort()
    expect(await receiving).toMatchObject({ code: 'aborted' })
    expect(await keptFilms()).toHaveLength(keepOnAbort ? 1 : 0)
  }
  expect(await readdir(directory)).toEqual([])
  more.resolve()
  await sent
})

test('a sender that gives up leaves its receivers nothing', async () => {
  const { stream } = halting()
  const stop = new AbortController()
  const { link, sent } = await send(outgoingOriginal(stream, original), { signal: stop.signal })
  const receiving = receiver.receive(link, { directory })
  await fetched(0.7)
  stop.abort()
  await expect(sent).rejects.toMatchObject({ code: 'aborted' })
  expect((await receiving).items).toMatchObject([{ error: { code: 'sender_gone' } }])
  expect(await readdir(directory)).toEqual([])
})

test('a film that turns out to be none is received as the file it is', async () => {
  const { stream, more } = halting()
  const unfit = new Error('no film')
  const item = outgoingOriginal(stream, original, { isUnfit: error => error === unfit })
  const { link, sent } = await send(item, { maxDownloads: 2 })
  const receiving = receiver.receive(link, { directory })
  await fetched(0.7)
  const parcel = await receiver.open(link)
  const streaming = parcel.bytes(only(parcel))
  more.reject(unfit)
  await sent
  expect((await receiving).items).toMatchObject([{ error: null }])
  expect(await digests(directory)).toEqual(whole)
  expect(digest(await streaming)).toBe(whole['film.mp4'])
})

test('an item that was asked for before it was begun is the file, not the film', async () => {
  const when = Promise.withResolvers<void>()
  const { link, sent } = await send(outgoingOriginal(streamed(film, 100_000), original, { when: when.promise }))
  const receiving = receiver.receive(link, { directory })
  await eventually('the item is opened', () => existsSync(directory) && proxy.requests.length >= 2)
  when.resolve()
  await sent
  expect(await receiving).toMatchObject({ complete: true })
  expect(await digests(directory)).toEqual(whole)
})

test('a film that is begun anew, under another key, is followed anew', async () => {
  const path = join(home.path, 'film.mp4')
  await writeFile(path, original)
  const { stream } = halting()
  const link = Promise.withResolvers<string>()
  const stop = new AbortController()
  const item = { path, name: 'film.mp4' }
  const first = sender.sendFiles([{ ...item, film: filmOf(outgoingOriginal(stream, original)) }], {
    publishFirst: true,
    onPublished: published => link.resolve(published.link.replace(server.url, proxy.url)),
    signal: stop.signal,
  })
  first.catch((error: unknown) => link.reject(error))
  const receiving = receiver.receive(await link.promise, { directory })
  await eventually('what came is kept', async () => (await keptBytes()) >= film.byteLength * 0.7)
  const [kept] = await keptFilms()
  stop.abort()
  await expect(first).rejects.toMatchObject({ code: 'aborted' })
  // It may be another file now: what was sent of it is given up.
  await utimes(path, 0, 0)
  const again = { ...item, film: filmOf(outgoingOriginal(streamed(film, 100_000), original)) }
  const second = await sender.sendFiles([again], { publishFirst: true })
  expect(second.link.replace(server.url, proxy.url)).toBe(await link.promise)
  expect((await receiving).items).toMatchObject([{ error: null }])
  expect(await digests(directory)).toEqual(whole)
  expect(kept).toMatch(/^\.[\da-f]{32}\.film\.sealift-part$/)
})

/** A list that ends in another hash. */
function withWrongHash(runs: ReadableStream<Uint8Array<ArrayBuffer>>): ReadableStream<Uint8Array<ArrayBuffer>> {
  let held: Uint8Array<ArrayBuffer> | null = null
  return runs.pipeThrough(
    new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
      transform: (piece, controller) => {
        if (held) controller.enqueue(held)
        held = piece.slice()
      },
      flush: controller => {
        const last = held ?? new Uint8Array(0)
        last[last.byteLength - 1] = (last.at(-1) ?? 0) ^ 1
        controller.enqueue(last)
      },
    }),
  )
}

test.each([true, false])(
  'a file that is not what its sender hashed is refused (publishFirst: %s)',
  async publishFirst => {
    const item = outgoingOriginal(streamed(film, 100_000), original, { runs: withWrongHash })
    const { link, sent } = await send(item, { publishFirst })
    if (!publishFirst) await sent
    const { items } = await receiver.receive(link, { directory })
    expect(items).toMatchObject([{ error: { code: 'damaged_media' } }])
    expect(await readdir(directory)).toEqual([])
    await sent
  },
)

test('a download of many ranges counts once, for the film and for its list', async () => {
  const { link, sent } = await send(outgoingOriginal(streamed(film, 100_000), original))
  await sent
  const parcel = await receiver.open(link)
  const sinks = new Map<number, MemorySink>()
  const results = await parcel.downloadAll({
    open: item => {
      const sink = new MemorySink()
      sinks.set(item.index, sink)
      return Promise.resolve({ sink })
    },
  })
  expect(results).toMatchObject([{ ok: true }])
  expect(digest(sinks.get(0)?.bytes ?? new Uint8Array(0))).toBe(whole['film.mp4'])
  await expect(parcel.bytes(only(parcel))).rejects.toMatchObject({ code: 'downloads_exhausted' })
})

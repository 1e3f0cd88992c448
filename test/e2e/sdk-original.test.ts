import { join } from 'node:path'

import { expect, test } from 'vitest'

import type { Parcel, SendItem } from '../../src/client/index.ts'
import { concat } from '../support/concat.ts'
import { startFlakyProxy } from '../support/flaky-proxy.ts'
import { sourceOf } from '../support/originals.ts'
import { filmAndFile, outgoingOriginal } from '../support/outgoing-original.ts'
import { clientIn, digest, digests, MemorySink, only, streamed } from '../support/sdk.ts'
import { sdkPerTest } from '../support/sdk-per-test.ts'

const KIB = 1024
/** What is put together, and noted, at once. */
const PIECE_BYTES = 8 * 1024 * KIB

const stage = sdkPerTest()

const { film, original } = filmAndFile(300)
const outgoing = (film: ReadableStream<Uint8Array<ArrayBuffer>>): SendItem => outgoingOriginal(film, original)

async function sent(): Promise<Parcel> {
  const { link } = await stage.sealift.send([outgoing(streamed(film, 100_000))])
  return stage.sealift.open(link)
}

const whole = digest(original)

test('what is downloaded, in any way, is the file that the film was made of', async () => {
  const parcel = await sent()
  const item = only(parcel)
  expect(item).toMatchObject({ bytes: original.byteLength, state: 'complete' })

  const sink = new MemorySink()
  await parcel.download(item, sink)
  expect(digest(sink.bytes)).toBe(whole)

  const pieces: Uint8Array[] = []
  await parcel.download(item, new WritableStream({ write: piece => void pieces.push(piece) }))
  expect(digest(concat(pieces))).toBe(whole)

  expect(digest(await parcel.bytes(item))).toBe(whole)
  const range = { start: 1_234_567, end: 5_234_568 }
  const part = concat(await Array.fromAsync(parcel.stream(item, { range })))
  expect(digest(part)).toBe(digest(original.subarray(range.start, range.end)))
})

test('what is played is the film', async () => {
  const parcel = await sent()
  const opened = parcel.film(only(parcel))
  const bytes = await opened?.read({}, { start: 0, end: film.byteLength })
  expect(bytes && digest(bytes)).toBe(digest(film))
})

test('it is received into a file, and found to be there', async () => {
  const { link } = await stage.sealift.send([outgoing(streamed(film, 100_000))])
  const directory = `${stage.home.path}/out`
  const received = await stage.sealift.receive(link, { directory })
  expect(received.complete).toBe(true)
  expect(await digests(directory)).toEqual({ 'film.mp4': whole })
  const parcel = await stage.sealift.open(link)
  expect(await parcel.matches(only(parcel), sourceOf(original))).toBe(true)
  const other = original.slice()
  other[4_000_000] = (other[4_000_000] ?? 0) ^ 1
  expect(await parcel.matches(only(parcel), sourceOf(other))).toBe(false)
  expect(await parcel.matches(only(parcel), sourceOf(film))).toBe(false)
})

test('a receive that was stopped goes on with what it has', async () => {
  await using proxy = await startFlakyProxy(stage.server.url)
  await using slow = clientIn(join(stage.home.path, 'receiver'), { server: proxy.url, parallel: 1 })
  const { link } = await stage.sealift.send([outgoing(streamed(film, 100_000))])
  const throughProxy = link.replace(stage.server.url, proxy.url)
  const directory = join(stage.home.path, 'out')
  const stop = new AbortController()
  proxy.delayMs = 150
  const stopped = slow.receive(throughProxy, {
    directory,
    keepOnAbort: true,
    signal: stop.signal,
    // One piece after the other: the first one is written when the second one begins to come.
    onProgress: ({ bytes }) => bytes > PIECE_BYTES && stop.abort(),
  })
  await expect(stopped).rejects.toMatchObject({ code: 'aborted' })
  proxy.delayMs = 0
  proxy.resetCounts()
  const received = await slow.receive(throughProxy, { directory })
  expect(received.complete).toBe(true)
  expect(await digests(directory)).toEqual({ 'film.mp4': whole })
  // The chunks at a piece's borders, and the list of runs, are fetched again.
  expect(proxy.receivedBytes()).toBeLessThan(film.byteLength * 1.06 - PIECE_BYTES + 3 * 1024 * KIB)
})

test('what is downloaded while it is being sent waits for the file, and is it', async () => {
  const more = Promise.withResolvers<void>()
  const slow = new ReadableStream<Uint8Array<ArrayBuffer>>({
    async start(controller) {
      controller.enqueue(film.slice(0, film.byteLength / 2))
      await more.promise
      controller.enqueue(film.slice(film.byteLength / 2))
      controller.close()
    },
  })
  const link = Promise.withResolvers<string>()
  const sending = stage.sealift.send([outgoing(slow)], {
    publishFirst: true,
    onPublished: published => link.resolve(published.link),
  })
  let parcel = await stage.sealift.open(await link.promise)
  while (!parcel.film(only(parcel))) parcel = (await parcel.next({ waitSeconds: 10 })) ?? parcel
  expect(only(parcel)).toMatchObject({ state: 'sending', bytes: original.byteLength })
  const bytes = parcel.bytes(only(parcel))
  more.resolve()
  await sending
  expect(digest(await bytes)).toBe(whole)
})

test('it outlives the first link in a forward', async () => {
  const first = await stage.sealift.send([outgoing(streamed(film, 100_000))])
  const { link } = await stage.sealift.forward(first.link)
  await stage.sealift.delete(first.link)
  const parcel = await stage.sealift.open(link)
  expect(digest(await parcel.bytes(only(parcel)))).toBe(whole)
})

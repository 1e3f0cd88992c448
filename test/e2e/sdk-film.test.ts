import { expect, test } from 'vitest'

import type { FilmDescription, FilmMaker, OutgoingFilm, TrackProgress } from '../../src/client/index.ts'
import { content, digest, only, streamed } from '../support/sdk.ts'
import { sdkPerTest } from '../support/sdk-per-test.ts'

const MIB = 1024 * 1024

const stage = sdkPerTest()

/** Segments of 700 kB of one track, as many as are there. */
function description(progress: TrackProgress, total: number): FilmDescription | null {
  const { media, readableBytes } = progress
  if (!media) return null
  const segments: [number, number, number][] = []
  for (let at = 1000; at < total; at += 700_000) {
    const length = Math.min(700_000, total - at)
    if (at + length <= readableBytes) segments.push([at, length, 4])
  }
  const complete = media.state === 'complete'
  return {
    state: complete ? 'complete' : 'sending',
    renditions: [{ media, codecs: 'avc1.640028', bandwidth: 1_400_000, init: [0, 1000], segments }],
  }
}

const maker = (film: OutgoingFilm): FilmMaker => ({ begin: () => Promise.resolve({ film }) })

const film = (bytes: Uint8Array<ArrayBuffer>): FilmMaker =>
  maker({
    tracks: [streamed(bytes, 100_000)],
    describe: (_, [track]) => (track ? description(track, bytes.byteLength) : null),
  })

test('tracks of a film are read at any offset, beside the bytes of their item', async () => {
  const own = content('original', 300_000)
  const track = content('track', 3 * MIB)
  const { link } = await stage.sealift.send([{ name: 'film.mp4', source: own, film: film(track) }])
  const parcel = await stage.sealift.open(link)
  const item = only(parcel)
  expect(digest(await parcel.bytes(item))).toBe(digest(own))
  const opened = parcel.film(item)
  expect(opened?.description).toMatchObject({ state: 'complete', renditions: [{ bandwidth: 1_400_000 }] })
  const rendition = opened?.description.renditions[0]
  if (!opened || !rendition) throw new Error('There is no film')
  expect(rendition.segments).toHaveLength(5)
  for (const [offset, length] of rendition.segments) {
    const bytes = await opened.read(rendition, { start: offset, end: offset + length })
    expect(digest(bytes)).toBe(digest(track.subarray(offset, offset + length)))
  }
})

test('segments are told of, and readable, while the film is still being sent', async () => {
  const track = content('track', 3 * MIB)
  const more = Promise.withResolvers<void>()
  const source = new ReadableStream<Uint8Array<ArrayBuffer>>({
    async start(controller) {
      controller.enqueue(track.slice(0, 2 * MIB))
      await more.promise
      controller.enqueue(track.slice(2 * MIB))
      controller.close()
    },
  })
  const link = Promise.withResolvers<string>()
  const outgoing = { tracks: [], describe: (own: TrackProgress) => own.media && description(own, track.byteLength) }
  const begin = () => Promise.resolve({ film: outgoing, own: { bytes: source, way: 'test-1' } })
  const item = { name: 'film.mp4', source: content('original', 1000), film: { begin } }
  const sending = stage.sealift.send([item], {
    publishFirst: true,
    onPublished: published => link.resolve(published.link),
  })
  let parcel = await stage.sealift.open(await link.promise)
  for (let count = 0; count < 2;) {
    parcel = (await parcel.next({ waitSeconds: 10 })) ?? parcel
    count = parcel.film(only(parcel))?.description.renditions[0]?.segments.length ?? 0
  }
  const opened = parcel.film(only(parcel))
  const rendition = opened?.description.renditions[0]
  if (!opened || !rendition) throw new Error('There is no film')
  expect(opened.description.state).toBe('sending')
  for (const [offset, length] of rendition.segments) {
    const bytes = await opened.read(rendition, { start: offset, end: offset + length })
    expect(digest(bytes)).toBe(digest(track.subarray(offset, offset + length)))
  }
  more.resolve()
  await sending
  while (!parcel.complete) parcel = (await parcel.next({ waitSeconds: 10 })) ?? parcel
  expect(parcel.film(only(parcel))?.description.renditions[0]?.segments).toHaveLength(5)
})

test('a forward leases every track, and lives on without the first', async () => {
  const track = content('track', MIB)
  const first = await stage.sealift.send([{ name: 'film.mp4', source: content('own', 100), film: film(track) }])
  const { link } = await stage.sealift.forward(first.link)
  await stage.sealift.delete(first.link)
  const parcel = await stage.sealift.open(link)
  const opened = parcel.film(only(parcel))
  const rendition = opened?.description.renditions[0]
  if (!opened || !rendition) throw new Error('There is no film')
  const bytes = await opened.read(rendition, { start: 0, end: 1000 })
  expect(digest(bytes)).toBe(digest(track.subarray(0, 1000)))
})

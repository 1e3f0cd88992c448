import { expect, test, vi } from 'vitest'

import type { RandomSource } from '../../../src/client/index.ts'
import { createRemuxer } from '../../../src/video/index.ts'
import { packaged } from '../../support/packaged.ts'
import { content } from '../../support/sdk.ts'
import { failOnUnhandledRejections } from '../../support/unhandled-rejections.ts'

failOnUnhandledRejections()

const NEVER = new AbortController().signal
const text = (words: string) => new TextEncoder().encode(words)

/** A box that says `declared` bytes and has fewer. */
function box(type: string, declared: number, body: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(8 + body.byteLength)
  new DataView(bytes.buffer).setUint32(0, declared)
  bytes.set(text(type), 4)
  bytes.set(body, 8)
  return bytes
}

const joined = (...parts: readonly Uint8Array[]) => new Uint8Array(Buffer.concat(parts))
const ftyp = box('ftyp', 16, text('isom\0\0\0\0'))
const track = box('trak', 16, box('tkhd', 8, new Uint8Array(0)))
const manyTracks = joined(...Array.from({ length: 100_000 }, () => track))

const NO_FILMS: readonly (readonly [name: string, bytes: Uint8Array<ArrayBuffer>])[] = [
  ['nothing', new Uint8Array(0)],
  ['one byte', new Uint8Array(1)],
  ['random bytes', content('noise', 300_000)],
  ['zeros', new Uint8Array(300_000)],
  ['a document', text('%PDF-1.7\n%âãÏÓ\n'.repeat(1000))],
  ['a photo', joined(new Uint8Array([0xff, 0xd8, 0xff, 0xe0]), content('photo', 50_000))],
  ['a playlist', text('#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\nhttp://127.0.0.1:9/secret.ts\n#EXT-X-ENDLIST\n')],
  ['an MP4 that is all header', ftyp],
  ['an index that says 4 GB', joined(ftyp, box('moov', 0xffff_fff0, content('moov', 5000)))],
  ['an index of noise', joined(ftyp, box('moov', 20_008, content('index', 20_000)))],
  [
    'boxes in boxes without end',
    joined(ftyp, ...Array.from({ length: 50_000 }, () => box('moov', 0x7fff_ffff, new Uint8Array(0)))),
  ],
  ['100,000 tracks', joined(ftyp, box('moov', 8 + manyTracks.byteLength, manyTracks))],
  ['a Matroska header and noise', joined(new Uint8Array([0x1a, 0x45, 0xdf, 0xa3, 0xff]), content('ebml', 100_000))],
  [
    'packets of TS without a table',
    joined(...Array.from({ length: 2000 }, () => joined(new Uint8Array([0x47]), new Uint8Array(187)))),
  ],
]

test.each(NO_FILMS)('%s is no film', async (_, bytes) => {
  await expect(packaged(createRemuxer(), sourceOf(bytes))).rejects.toMatchObject({ name: 'CannotPackage' })
})

test('a source that cannot be read says why itself', async () => {
  const broken = new Error('The disk is gone')
  const source: RandomSource = { sizeBytes: 5_000_000, read: () => Promise.reject(broken) }
  await expect(packaged(createRemuxer(), source)).rejects.toBe(broken)
})

test('nothing is read once the film is cancelled', async () => {
  const gone = new Error('Not wanted')
  let reads = 0
  const source: RandomSource = { ...sourceOf(ftyp), read: () => Promise.reject(new Error(String(++reads))) }
  const packaging = createRemuxer().package({ source }, { signal: AbortSignal.abort(gone) })
  await expect(packaging).rejects.toBe(gone)
  expect(reads).toBe(0)
})

test('a file of boxes without end is given up', async () => {
  // Whatever is read of it is boxes of eight bytes.
  const empty = box('free', 8, new Uint8Array(0))
  const boxes = (bytes: number) => new Uint8Array(bytes).map((_, at) => empty[at % 8] ?? 0)
  let readBytes = 0
  const source: RandomSource = {
    sizeBytes: 2 ** 40,
    read: (start, end) => {
      readBytes += end - start
      const bytes = boxes(end - start)
      if (start === 0) bytes.set(ftyp)
      return Promise.resolve(bytes)
    },
  }
  await expect(createRemuxer().package({ source }, { signal: NEVER })).rejects.toMatchObject({
    name: 'CannotPackage',
    message: 'Too much of it would have to be read to see what is in it',
  })
  expect(readBytes).toBeLessThan(300 * 1024 * 1024)
})

test('a long transport stream is refused before it fills the memory', async () => {
  const packets = (start: number, end: number) =>
    Uint8Array.from({ length: end - start }, (_, at) => ((start + at) % 188 === 0 ? 0x47 : 0))
  const source: RandomSource = { sizeBytes: 2 ** 30, read: (start, end) => Promise.resolve(packets(start, end)) }
  await expect(createRemuxer().package({ source }, { signal: NEVER })).rejects.toMatchObject({
    name: 'CannotPackage',
    message: 'A transport stream of more than 256 MiB is not copied; as MP4 or Matroska it is',
  })
})

test('a file whose reads never end is given up', async () => {
  vi.useFakeTimers()
  try {
    const source: RandomSource = {
      sizeBytes: 5_000_000,
      read: (start, end) => (start === 0 ? Promise.resolve(boxOfMovie(end)) : new Promise(() => undefined)),
    }
    const packaging = createRemuxer().package({ source }, { signal: NEVER })
    packaging.catch(() => undefined)
    await vi.advanceTimersByTimeAsync(60_000)
    await expect(packaging).rejects.toMatchObject({
      name: 'CannotPackage',
      message: 'It takes too long to see what is in it',
    })
  } finally {
    vi.useRealTimers()
  }
})

/** A file whose index lies behind its first block. */
function boxOfMovie(bytes: number): Uint8Array<ArrayBuffer> {
  const start = new Uint8Array(bytes)
  start.set(joined(ftyp, box('mdat', 4_000_000, new Uint8Array(0))))
  return start
}

function sourceOf(bytes: Uint8Array<ArrayBuffer>): RandomSource {
  return { sizeBytes: bytes.byteLength, read: (start, end) => Promise.resolve(bytes.slice(start, end)) }
}

import { describe, expect, test } from 'vitest'

import type { TrackMedia } from '../../../src/client/manifest/film-readers.ts'
import { filmSchema } from '../../../src/client/manifest/manifest-schema.ts'
import type { BegunFilm } from '../../../src/client/api/outgoing-film.ts'
import { filmMaker, type FilmMakerOptions } from '../../../src/video/film-maker.ts'
import { CannotPackage, type PackagedFilm, type PackagedTrack, type Segment } from '../../../src/video/packager.ts'

const NEVER = new AbortController().signal
const id = (letter: string): string => letter.repeat(26)
const secret = 'A'.repeat(43)

const sending = (letter: string): TrackMedia => ({
  state: 'sending',
  media: id(letter),
  key: secret,
  commit: secret,
  chunkBytes: 262_144,
})
const complete = (letter: string, bytes: number): TrackMedia => ({
  ...sending(letter),
  state: 'complete',
  bytes,
  sealedBytes: bytes + 100,
  sha256: secret,
})

const SEGMENTS: readonly Segment[] = [
  [100, 400_000, 4],
  [400_100, 100_000, 4],
  [500_100, 20_000, 0.1],
]

function track(changes: Partial<PackagedTrack> = {}): PackagedTrack {
  const bytes = new ReadableStream<Uint8Array<ArrayBuffer>>({
    pull: controller => {
      controller.enqueue(new Uint8Array(10).fill(7))
      controller.close()
    },
  })
  return {
    codecs: 'avc1.640028,mp4a.40.2',
    width: 640,
    height: 360,
    bytes,
    layout: { init: [0, 100], segments: SEGMENTS },
    ...changes,
  }
}

const packaged = (changes: Partial<PackagedFilm> = {}): PackagedFilm => ({
  seconds: 8.1,
  renditions: [track()],
  audio: [],
  subtitles: [],
  storyboard: null,
  notes: [],
  ...changes,
})

async function begin(film: PackagedFilm, options: Partial<FilmMakerOptions> = {}): Promise<BegunFilm> {
  const source = { sizeBytes: 1234, read: () => Promise.resolve(new Uint8Array(0)) }
  const maker = filmMaker({
    packager: { package: () => Promise.resolve(film) },
    input: () => Promise.resolve({ source }),
    ...options,
  })
  const begun = await maker.begin(NEVER)
  if (!begun?.film) throw new Error('It was sent as a plain file')
  return begun
}

describe('a film beside its file', () => {
  test('describes only segments that can be read', async () => {
    const { film } = await begin(packaged())
    expect(film.describe({ media: null, readableBytes: 0 }, [])).toBeNull()
    const told = film.describe({ media: null, readableBytes: 0 }, [{ media: sending('b'), readableBytes: 500_099 }])
    expect(told).toMatchObject({ state: 'sending', seconds: 8.1 })
    expect(told?.renditions[0]).toMatchObject({ media: sending('b'), segments: [[100, 400_000, 4]] })
    expect(filmSchema.parse(told)).toEqual(told)
  })

  test('waits for every rendition, so that no player misses a quality', async () => {
    const { film } = await begin(packaged({ renditions: [track(), track()] }))
    const first = { media: sending('b'), readableBytes: 600_000 }
    expect(film.describe({ media: null, readableBytes: 0 }, [first])).toBeNull()
    expect(film.describe({ media: null, readableBytes: 0 }, [first, first])?.renditions).toHaveLength(2)
  })

  test('is as dense as its densest segment; a few frames at the end do not count', async () => {
    const { film } = await begin(packaged())
    const told = film.describe({ media: null, readableBytes: 0 }, [
      { media: complete('b', 520_100), readableBytes: 520_100 },
    ])
    expect(told).toMatchObject({ state: 'complete' })
    expect(told?.renditions[0]).toMatchObject({ bandwidth: 800_000, averageBandwidth: 513_581 })
  })

  test('lasts as long as its longest track', async () => {
    const longer = track({ layout: { init: [0, 100], segments: [[100, 1000, 20]] } })
    const { film } = await begin(packaged({ audio: [longer] }))
    const whole = { media: complete('b', 520_100), readableBytes: 520_100 }
    const told = film.describe({ media: null, readableBytes: 0 }, [whole, whole])
    const seconds = told?.renditions[0]?.segments.reduce((sum, segment) => sum + segment[2], 0)
    expect(told?.seconds).toBe(20)
    expect(seconds).toBe(20)
    expect(filmSchema.parse(told)).toEqual(told)
  })

  test('notes for receivers what was left out', async () => {
    const begun = await begin(packaged({ notes: ['Audio track 2 was left out.', 'So was video track 2.'] }))
    expect(begun.note).toBe('Audio track 2 was left out. So was video track 2.')
    expect((await begin(packaged())).note).toBeUndefined()
  })

  test('describes subtitles and storyboard once they are there', async () => {
    const text = new TextEncoder().encode('WEBVTT')
    const sheets = [new Uint8Array(30), new Uint8Array(20)]
    const made = { everySeconds: 5, columns: 10, rows: 10, tileWidth: 160, tileHeight: 90, sheets }
    const subtitles = [{ language: 'eo', text: Promise.resolve(text) }]
    const { film } = await begin(packaged({ subtitles, storyboard: Promise.resolve(made) }))
    const [, words, pictures] = film.tracks
    expect(await new Response(words as ReadableStream).text()).toBe('WEBVTT')
    expect((await new Response(pictures as ReadableStream).bytes()).byteLength).toBe(50)
    const own = { media: null, readableBytes: 0 }
    const rendition = { media: sending('b'), readableBytes: 600_000 }
    const before = film.describe(own, [rendition, { media: sending('c'), readableBytes: 0 }])
    expect(before?.subtitles).toBeUndefined()
    const after = film.describe(own, [
      rendition,
      { media: complete('c', 6), readableBytes: 6 },
      { media: complete('d', 50), readableBytes: 50 },
    ])
    expect(after?.subtitles).toMatchObject([{ language: 'eo', media: { media: id('c') } }])
    expect(after?.storyboard).toMatchObject({
      media: { media: id('d') },
      sheets: [
        [0, 30],
        [30, 20],
      ],
    })
    expect(filmSchema.parse(after)).toEqual(after)
  })
})

describe('a film instead of its file', () => {
  const original = {
    watch: (bytes: ReadableStream<Uint8Array<ArrayBuffer>>) => ({ bytes, runs: new ReadableStream() }),
  }

  test('is the bytes of its item, from which the file is rebuilt', async () => {
    const { film, own } = await begin(packaged(), { instead: { original, way: 'test-1' } })
    expect(own?.way).toBe('test-1')
    expect(film.original).toEqual({ bytes: 1234, runs: 0 })
    const told = film.describe({ media: sending('b'), readableBytes: 600_000 }, [])
    expect(told?.renditions[0]?.segments).toHaveLength(3)
    expect(told?.renditions[0]).not.toHaveProperty('media')
  })

  test('has its audio beside it where that is apart, and is of another way', async () => {
    const { film, own } = await begin(packaged({ audio: [track()] }), { instead: { original, way: 'test-1' } })
    expect(own?.way).toBe('test-1-apart')
    expect(film.tracks).toHaveLength(2)
    expect(film.original).toEqual({ bytes: 1234, runs: 1 })
    const told = film.describe({ media: sending('b'), readableBytes: 600_000 }, [
      { media: sending('c'), readableBytes: 600_000 },
    ])
    expect(told?.renditions[0]).not.toHaveProperty('media')
    expect(told?.audio?.[0]?.media).toEqual(sending('c'))
  })

  test('goes beside it when it has several renditions', async () => {
    const begun = await begin(packaged({ renditions: [track(), track()] }), { instead: { original, way: 'test-1' } })
    expect(begun.own).toBeUndefined()
    expect(begun.film.original).toBeUndefined()
  })

  test('goes beside it when it holds little of the file', async () => {
    const instead = { original, way: 'test-1' }
    expect((await begin(packaged({ keepsSamples: false }), { instead })).own).toBeUndefined()
    expect((await begin(packaged({ keepsSamples: true }), { instead })).own).toBeDefined()
  })

  test('ends with an error when the file changed meanwhile', async () => {
    const read = () => Promise.resolve(new Uint8Array(0))
    const changed = () => Promise.reject(new Error('changed'))
    const source = { sizeBytes: 1, read, checkUnchanged: changed }
    const { own } = await begin(packaged(), {
      input: () => Promise.resolve({ source }),
      instead: { original, way: 'test-1' },
    })
    await expect(new Response(own?.bytes ?? null).bytes()).rejects.toThrow('changed')
  })
})

describe('what is no film', () => {
  test('is sent as the file it is, with the reason', async () => {
    const reasons: string[] = []
    const maker = filmMaker({
      packager: { package: () => Promise.reject(new CannotPackage('It holds no pictures.')) },
      input: () => Promise.resolve({ source: { sizeBytes: 1, read: () => Promise.reject(new Error('unused')) } }),
      onPlain: reason => reasons.push(reason),
    })
    expect(await maker.begin(NEVER)).toEqual({
      film: null,
      note: 'A plain file, which does not play while it comes. It holds no pictures.',
    })
    expect(reasons).toEqual(['It holds no pictures.'])
  })

  test('may turn out later; any other error is none of that', async () => {
    const reasons: string[] = []
    const begun = await begin(packaged(), { onPlain: reason => reasons.push(reason) })
    expect(begun.isUnfit?.(new Error('network'))).toBe(false)
    expect(begun.isUnfit?.(new CannotPackage('It ends in the middle.'))).toBe(true)
    expect(reasons).toEqual(['It ends in the middle.'])
    const note = begun.unfitNote?.(new CannotPackage('Of its 150 video frames, 25 would play'))
    expect(note).toBe('A plain file, which does not play while it comes. Of its 150 video frames, 25 would play.')
  })
})

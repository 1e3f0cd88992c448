import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import type { FilmDescription } from '../../../src/client/manifest/film-readers.ts'
import { filmSchema } from '../../../src/client/manifest/manifest-schema.ts'
import { masterPlaylist, mediaPlaylist, subtitlesPlaylist, type PlaylistNames } from '../../../src/video/index.ts'
import { checkGrowth, checkMaster, checkMedia } from '../../support/rfc8216.ts'

const names: PlaylistNames = {
  rendition: index => `r${index}.m3u8`,
  audio: index => `a${index}.m3u8`,
  subtitles: index => `s${index}.m3u8`,
}
const B32 = 'A'.repeat(43)
const media = {
  state: 'complete' as const,
  bytes: 5000,
  media: 'a'.repeat(26),
  key: B32,
  chunkBytes: 262_144,
  sealedBytes: 6000,
  sha256: B32,
  commit: B32,
}
type Track = FilmDescription['renditions'][number]
const track = (over: Partial<Track> = {}): Track => ({
  codecs: 'avc1.64001f',
  bandwidth: 2_000_000,
  init: [0, 1000],
  segments: [
    [1000, 500, 4],
    [1500, 700, 3.5],
  ],
  ...over,
})

describe('a master playlist', () => {
  test('offers renditions with sound and subtitles to choose from', () => {
    const film: FilmDescription = {
      state: 'complete',
      seconds: 7.5,
      renditions: [
        track({ averageBandwidth: 1_500_000, width: 1280, height: 720, frameRate: 29.97 }),
        track({ bandwidth: 500_000, codecs: 'avc1.42c01e', width: 426, height: 240 }),
      ],
      audio: [
        track({ codecs: 'mp4a.40.2', bandwidth: 128_000, averageBandwidth: 120_000, language: 'de', name: 'Deutsch' }),
        track({ codecs: 'mp4a.40.2', bandwidth: 96_000, averageBandwidth: 90_000, language: 'en', isDefault: true }),
      ],
      subtitles: [{ media, language: 'en', name: 'Signs', isForced: true }],
    }
    expect(masterPlaylist(film, names)).toBe(`#EXTM3U
#EXT-X-VERSION:7
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="audio",NAME="Deutsch",LANGUAGE="de",DEFAULT=NO,AUTOSELECT=YES,URI="a0.m3u8"
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="audio",NAME="en",LANGUAGE="en",DEFAULT=YES,AUTOSELECT=YES,URI="a1.m3u8"
#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="subtitles",NAME="Signs",LANGUAGE="en",DEFAULT=NO,AUTOSELECT=YES,FORCED=YES,URI="s0.m3u8"
#EXT-X-STREAM-INF:BANDWIDTH=2128000,AVERAGE-BANDWIDTH=1620000,CODECS="avc1.64001f,mp4a.40.2",RESOLUTION=1280x720,FRAME-RATE=29.970,AUDIO="audio",SUBTITLES="subtitles"
r0.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=628000,CODECS="avc1.42c01e,mp4a.40.2",RESOLUTION=426x240,AUDIO="audio",SUBTITLES="subtitles"
r1.m3u8
`)
    checkMaster(masterPlaylist(film, names))
  })

  test.each([
    'a",URI="http://evil.invalid/',
    'a\n#EXT-X-STREAM-INF:BANDWIDTH=1\nhttp://evil.invalid/',
    'a\r\nb\u2028c\u0085d\ufeffe\ud800f',
    '"""',
    '   ',
  ])('cannot be broken out of by a name such as %j', text => {
    const sound = track({ name: text, language: text, codecs: `mp4a.40.2${text}` })
    const film: FilmDescription = {
      state: 'complete',
      renditions: [track({ codecs: text })],
      audio: [sound, sound],
      subtitles: [{ media, name: text, language: text }],
    }
    const { streams, media: renditions } = checkMaster(masterPlaylist(film, names))
    expect(streams.map(({ uri }) => uri)).toEqual(['r0.m3u8'])
    expect(renditions.map(each => each.get('URI'))).toEqual(['"a0.m3u8"', '"a1.m3u8"', '"s0.m3u8"'])
  })
})

describe('the playlist of a track', () => {
  test('names each segment as a byte range, and ends', () => {
    expect(mediaPlaylist(track(), { uri: 'r0.mp4', state: 'complete' })).toBe(`#EXTM3U
#EXT-X-VERSION:7
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-TARGETDURATION:4
#EXT-X-MEDIA-SEQUENCE:0
#EXT-X-PLAYLIST-TYPE:VOD
#EXT-X-MAP:URI="r0.mp4",BYTERANGE="1000@0"
#EXTINF:4.000000,
#EXT-X-BYTERANGE:500@1000
r0.mp4
#EXTINF:3.500000,
#EXT-X-BYTERANGE:700@1500
r0.mp4
#EXT-X-ENDLIST
`)
  })

  test('grows while it is sent, with the target duration it began with', () => {
    const first = track({ segments: [[1000, 500, 4]] })
    const before = mediaPlaylist(first, { uri: 'r0.mp4', state: 'sending', targetSeconds: 9 })
    const after = mediaPlaylist(track(), { uri: 'r0.mp4', state: 'sending', targetSeconds: 9 })
    const end = mediaPlaylist(track(), { uri: 'r0.mp4', state: 'complete', hasGrown: true, targetSeconds: 9 })
    expect(before).toContain('#EXT-X-PLAYLIST-TYPE:EVENT\n#EXT-X-START:TIME-OFFSET=0\n')
    checkGrowth(checkMedia(before), checkMedia(after))
    checkGrowth(checkMedia(after), checkMedia(end))
    expect([before, after, end].map(text => checkMedia(text).ended)).toEqual([false, false, true])
  })

  test.each([
    ['one over the other', [1000, 500], [1499, 10]],
    ['backwards', [1500, 500], [1000, 10]],
    ['over the initialization', [999, 500], [2000, 10]],
    ['beyond what can be counted', [1000, 500], [Number.MAX_SAFE_INTEGER, 10]],
  ] as const)('is refused when segments lie %s', (_, first, second) => {
    const broken = track({
      segments: [
        [...first, 4],
        [...second, 4],
      ],
    })
    expect(() => mediaPlaylist(broken, { uri: 'r0.mp4', state: 'complete' })).toThrow(
      expect.objectContaining({ code: 'damaged_media' }),
    )
  })
})

test('subtitles are one segment as long as the film', () => {
  const text = subtitlesPlaylist({ uri: 's0.vtt', seconds: 61.26 })
  expect(checkMedia(text)).toMatchObject({
    targetSeconds: 61,
    ended: true,
    segments: [{ seconds: 61.26, range: null }],
  })
  expect(checkMedia(subtitlesPlaylist({ uri: 's0.vtt', seconds: 0 })).targetSeconds).toBe(1)
})

describe('any description', () => {
  const text = fc.string({
    unit: fc.oneof(
      fc.constantFrom('"', '\n', '\r', ',', '#', '=', '\u2028'),
      fc.string({ minLength: 1, maxLength: 1, unit: 'binary' }),
    ),
    maxLength: 40,
  })
  const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined })
  const tracks = fc
    .record({
      codecs: text.filter(each => each.length > 0),
      bandwidth: fc.integer({ min: 1, max: 1e9 }),
      averageFraction: maybe(fc.double({ min: 0.1, max: 1, noNaN: true })),
      width: maybe(fc.integer({ min: 1, max: 32_768 })),
      height: maybe(fc.integer({ min: 1, max: 32_768 })),
      frameRate: maybe(fc.double({ min: 0, max: 1000, noNaN: true })),
      language: maybe(text),
      name: maybe(text),
      isDefault: maybe(fc.boolean()),
      initLength: fc.integer({ min: 1, max: 10_000 }),
      parts: fc.array(
        fc.tuple(
          fc.integer({ min: 0, max: 100 }),
          fc.integer({ min: 1, max: 1e6 }),
          fc.double({ min: 0, max: 3600, noNaN: true }),
        ),
        { maxLength: 20 },
      ),
    })
    .map(({ averageFraction, initLength, parts, ...rest }) => {
      let at = initLength
      const segments = parts.map(([gap, length, seconds]) => {
        const offset = at + gap
        at = offset + length
        return [offset, length, seconds]
      })
      const averageBandwidth = averageFraction && Math.max(1, Math.floor(rest.bandwidth * averageFraction))
      return { ...rest, averageBandwidth, init: [0, initLength], segments }
    })
  const films = fc
    .record({
      state: fc.constantFrom('sending', 'complete'),
      renditions: fc.array(tracks, { minLength: 1, maxLength: 4 }),
      audio: maybe(fc.array(tracks, { maxLength: 3 })),
      subtitles: maybe(
        fc.array(
          fc.record({
            media: fc.constant(media),
            name: maybe(text),
            language: maybe(text),
            isForced: maybe(fc.boolean()),
          }),
          {
            maxLength: 3,
          },
        ),
      ),
    })
    .map(film => filmSchema.parse(film))

  test('gives playlists that keep to the RFC, with the addresses and ranges that were meant', () => {
    fc.assert(
      fc.property(films, film => {
        const master = checkMaster(masterPlaylist(film, names))
        expect(master.streams.map(({ uri }) => uri)).toEqual(film.renditions.map((_, index) => `r${index}.m3u8`))
        expect(master.media).toHaveLength((film.audio?.length ?? 0) + (film.subtitles?.length ?? 0))
        for (const each of [...film.renditions, ...(film.audio ?? [])]) {
          const end = each.segments.at(-1)
          const fileBytes = end ? end[0] + end[1] : each.init[1]
          const checked = checkMedia(mediaPlaylist(each, { uri: 'x.mp4', state: film.state }), fileBytes)
          expect(checked.segments.map(({ range }) => range)).toEqual(
            each.segments.map(([offset, length]) => ({ start: offset, end: offset + length })),
          )
          expect(checked.ended).toBe(film.state === 'complete')
        }
      }),
    )
  })
})

import * as fc from 'fast-check'
import { expect, test } from 'vitest'

import { CannotPackage } from '../../../src/video/index.ts'
import { readFacts, type FilmFacts } from '../../../src/video/ladder/probe.ts'
import { videoFilters } from '../../../src/video/ladder/ffmpeg-arguments.ts'
import { DEFAULT_LIMITS } from '../../../src/video/ladder/ladder-limits.ts'
import { planLadder, type LadderPlan } from '../../../src/video/ladder/ladder-plan.ts'
import { codecOf, rungsFor } from '../../../src/video/ladder/rungs.ts'
import { storyboardLayout } from '../../../src/video/ladder/ladder-extras.ts'

const facts = (...streams: readonly object[]): FilmFacts =>
  readFacts(
    JSON.stringify({
      format: { format_name: 'mov,mp4', duration: '10.0' },
      streams: streams.map((stream, index) => ({ index, ...stream })),
    }),
  )

const plan = (...streams: readonly object[]): LadderPlan =>
  planLadder(facts(...streams), { limits: DEFAULT_LIMITS, canToneMap: false })

const video = { codec_type: 'video', codec_name: 'h264', width: 1920, height: 1080, avg_frame_rate: '25/1' }
const audio = { codec_type: 'audio', codec_name: 'aac', channels: 6 }

const sizes = (width: number, height: number): string[] =>
  rungsFor({ width, height }, 30).map(rung => `${rung.width}x${rung.height}`)

test('a ladder has rungs up to 1080p, 720p, 480p and 240p, never above the film', () => {
  expect(sizes(3840, 2160)).toEqual(['1920x1080', '1280x720', '854x480', '426x240'])
  expect(sizes(1080, 1920)).toEqual(['1080x1920', '720x1280', '480x854', '240x426'])
  expect(sizes(640, 360)).toEqual(['640x360', '426x240'])
  expect(sizes(1280, 800)).toEqual(['1280x800', '768x480', '384x240'])
  expect(sizes(101, 51)).toEqual(['102x52'])
  expect(sizes(1, 1)).toEqual(['2x2'])
})

test('each rung is even, smaller than the one above, and of a level that allows it', () => {
  const side = fc.double({ min: 1, max: 20_000, noNaN: true })
  fc.assert(
    fc.property(side, side, fc.double({ min: 0, max: 60, noNaN: true }), (width, height, rate) => {
      const rungs = rungsFor({ width, height }, rate)
      expect(rungs.length).toBeGreaterThan(0)
      for (const [index, rung] of rungs.entries()) {
        expect([rung.width % 2, rung.height % 2]).toEqual([0, 0])
        expect(Math.max(rung.width, rung.height)).toBeLessThanOrEqual(1920)
        expect(Math.min(rung.width, rung.height)).toBeLessThanOrEqual(1080)
        expect(codecOf(rung)).toMatch(/^avc1\.6400[12][0-9a-f]$/)
        const above = rungs[index - 1] ?? { width: Infinity, height: Infinity }
        expect(rung.width * rung.height).toBeLessThan(above.width * above.height)
      }
    }),
  )
})

test('sizes are those that are shown', () => {
  const shown = (stream: object): (number | undefined)[] => {
    const rung = plan({ ...video, ...stream }).video?.rungs[0]
    return [rung?.width, rung?.height]
  }
  expect(shown({ width: 720, height: 576, sample_aspect_ratio: '64:45' })).toEqual([1024, 576])
  expect(shown({ width: 640, height: 360, side_data_list: [{ rotation: -90 }] })).toEqual([360, 640])
  expect(shown({ width: 640, height: 360, side_data_list: [{}, { rotation: 180 }] })).toEqual([640, 360])
  expect(shown({ width: 640, height: 360, sample_aspect_ratio: '1:100000' })).toEqual([640, 360])
  expect(shown({ width: 640, height: 360, sample_aspect_ratio: '0:1' })).toEqual([640, 360])
})

test('what is left out is noted', () => {
  const subtitles = [
    { codec_type: 'subtitle', codec_name: 'hdmv_pgs_subtitle' },
    {
      codec_type: 'subtitle',
      codec_name: 'ass',
      tags: { language: 'cze', title: ' Forced ' },
      disposition: { forced: 1 },
    },
  ]
  const made = plan(video, { ...video, disposition: { attached_pic: 1 } }, ...subtitles)
  expect(made.subtitles).toEqual([{ stream: 3, language: 'cs', name: 'Forced', isDefault: false, isForced: true }])
  expect(made.notes).toEqual(['Subtitles that are images, not text, are left out.'])
  expect(plan({ ...video, color_transfer: 'smpte2084' })).toMatchObject({ video: { hdr: 'convert' } })
  expect(plan({ ...video, color_transfer: 'smpte2084' }).notes.join()).toContain('no tone mapping')
  expect(() => plan(audio, audio)).toThrow(/2 audio tracks and no video/)
  expect(plan(...Array.from({ length: 20 }, () => audio), video).audio).toHaveLength(16)
})

test('interlaced pictures are put together, others are not', () => {
  const filters = (stream: object): string => {
    const made = plan({ ...video, ...stream }).video
    return made ? videoFilters(made) : ''
  }
  expect(filters({ field_order: 'tt' })).toContain('yadif')
  expect(filters({ field_order: 'progressive' })).not.toContain('yadif')
})

test.each([
  ['no video and no audio', [{ codec_type: 'data' }], 'neither video nor audio'],
  ['video without a size', [{ codec_type: 'video' }], 'size of its video'],
  ['pictures that are too large', [{ ...video, width: 100_000, height: 100_000 }], 'too large'],
])('a film with %s is refused', (_, streams, message) => {
  expect(() => plan(...streams)).toThrow(message)
})

function filtersOrRefusal(streams: readonly object[]): string {
  try {
    const { video } = plan(...streams)
    return video ? videoFilters(video) : 'none'
  } catch (error) {
    if (error instanceof CannotPackage) return 'refused'
    throw error
  }
}

test('facts of any kind are read or refused, and never change what is run', () => {
  const stream = fc.record(
    {
      codec_type: fc.oneof(fc.constantFrom('video', 'audio', 'subtitle'), fc.anything()),
      width: fc.anything(),
      height: fc.anything(),
      sample_aspect_ratio: fc.anything(),
      avg_frame_rate: fc.anything(),
      channels: fc.anything(),
      tags: fc.anything(),
    },
    { requiredKeys: [] },
  )
  fc.assert(
    fc.property(fc.array(stream), streams => {
      expect(filtersOrRefusal(streams)).toMatch(/^[\w[\]:=,;'().+\-/]+$/)
    }),
  )
})

test('a storyboard has a sheet up to a thousand seconds, and ten at most', () => {
  const made = plan(video).video
  if (!made) throw new Error('There is no plan')
  const tiles = (seconds: number | null): number[] => {
    const { everySeconds, columns, rows } = storyboardLayout(made, seconds)
    return [everySeconds, columns, rows]
  }
  expect(tiles(0.5)).toEqual([1, 1, 1])
  expect(tiles(12)).toEqual([1, 10, 2])
  expect(tiles(900)).toEqual([9, 10, 10])
  expect(tiles(86_400)).toEqual([87, 10, 10])
  expect(tiles(null)).toEqual([10, 10, 10])
})

import { expect, test } from 'vitest'

import type { TrackFacts } from '../../../src/video/checks/package-facts.ts'
import { expectedOf, ladderDifference } from '../../../src/video/ladder/check-ladder.ts'
import { readFacts } from '../../../src/video/ladder/probe.ts'

const made = (kind: 'video' | 'audio', samples: number, endSeconds: number): TrackFacts => ({
  kind,
  samples,
  isOrdered: true,
  startSeconds: 0,
  endSeconds,
})

const expected = (rate: string, format = 'mov,mp4,m4a') =>
  expectedOf(
    readFacts(
      JSON.stringify({
        format: { format_name: format },
        streams: [
          { index: 0, codec_type: 'video', avg_frame_rate: rate, start_time: '2', duration: '20' },
          { index: 1, codec_type: 'audio', start_time: '4', duration: '16' },
        ],
      }),
    ),
    [0, 1],
  )

const SAME = /^the same$/

test.each<[name: string, rate: string, frames: number, videoEnd: number, audioEnd: number, reason: RegExp]>([
  ['all of it', '25/1', 500, 20, 18, SAME],
  ['rates that are rounded', '24000/1001', 480, 20.1, 18.5, SAME],
  ['frames thinned out to 60 a second', '120/1', 1200, 20, 18, SAME],
  ['frames thinned out to 50 a second', '100/1', 1000, 20, 18, SAME],
  ['half of its frames', '25/1', 250, 20, 18, /^Of about 500 video frames, 250 would play$/],
  ['frames that were doubled', '25/1', 1000, 20, 18, /^Of about 500 video frames, 1000 would play$/],
  ['half of its video', '25/1', 500, 10, 18, /^Of 20\.0 s of its video, 10\.0 s would play$/],
  ['half of its audio', '25/1', 500, 20, 9, /^Of 18\.0 s of its audio, 9\.0 s would play$/],
  ['no frame', '25/1', 0, 0, 18, /^None of its video frames would play$/],
])('a ladder of %s', (_name, rate, frames, videoEnd, audioEnd, reason) => {
  const difference = ladderDifference(expected(rate), [made('video', frames, videoEnd), made('audio', 800, audioEnd)])
  expect(difference ?? 'the same').toMatch(reason)
})

test('a ladder without its audio differs, also from a file that declares nothing', () => {
  expect(ladderDifference(expected('25/1', 'mpegts'), [made('video', 3, 1)])).toMatch(/tracks/)
})

test('what a file does not declare is not compared', () => {
  expect(ladderDifference(expected('25/1', 'mpegts'), [made('video', 3, 1), made('audio', 3, 1)])).toBeNull()
})

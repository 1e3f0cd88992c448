import { array, assert, integer, property, shuffledSubarray } from 'fast-check'
import { expect, test } from 'vitest'

import { DecodeClock } from '../../../src/video/remux/decode-clock.ts'
import { viewOf } from '../../../src/video/mp4/boxes.ts'
import type { FragmentTrack } from '../../../src/video/mp4/fragment.ts'
import { box, code, fields } from '../../support/boxes.ts'

const TICKS_PER_SECOND = 1000
const FRAME = 40
const LEAD_FRAMES = 2

function clock(kind: 'vide' | 'soun' = 'vide'): DecodeClock {
  const mdhd = box('mdhd', fields(24, { 12: TICKS_PER_SECOND }))
  const hdlr = box('hdlr', fields(24, { 8: code(kind) }))
  const trak = box('trak', box('tkhd', fields(84, { 12: 1 })), box('mdia', mdhd, hdlr))
  const made = new DecodeClock((LEAD_FRAMES * FRAME) / TICKS_PER_SECOND)
  made.readMoov(viewOf(trak))
  return made
}

/** A segment whose frames are shown at these places, in the order of decoding. */
function segment(from: number, places: readonly number[]): FragmentTrack {
  const shown = places.map(place => (from + place + LEAD_FRAMES) * FRAME)
  const begin = from * FRAME
  return {
    trackId: 1,
    decodeTime: begin,
    samples: shown.map((time, index) => ({
      duration: FRAME,
      size: 1,
      flags: 0,
      shownAfter: time - (begin + index * FRAME),
    })),
  }
}

interface Times {
  readonly decoded: readonly number[]
  readonly shown: readonly number[]
}

function timesOf({ decodeTime, samples }: FragmentTrack): Times {
  let at = decodeTime
  const times = samples.map(({ duration, shownAfter }) => {
    const time = { decoded: at, shown: at + shownAfter }
    at += duration
    return time
  })
  return { decoded: times.map(({ decoded }) => decoded), shown: times.map(({ shown }) => shown) }
}

/** Segments of shuffled frames; some of them need far more delay than the film's. */
const shuffled = array(
  integer({ min: 1, max: 12 }).chain(frames =>
    shuffledSubarray(
      Array.from({ length: frames }, (_, place) => place),
      { minLength: frames, maxLength: frames },
    ),
  ),
  { minLength: 1, maxLength: 6 },
)

test('whatever the order of frames, decode times grow, and every frame is shown when it was', () => {
  assert(
    property(shuffled, segments => {
      const retime = clock().retime
      let [from, last] = [0, -1]
      for (const places of segments) {
        const { decoded, shown } = timesOf(retime(segment(from, places)))
        expect(shown).toEqual(places.map(place => (from + place + LEAD_FRAMES) * FRAME))
        for (const [index, time] of decoded.entries()) {
          expect(time).toBeGreaterThan(last)
          expect(time).toBeLessThanOrEqual(shown[index] ?? 0)
          last = time
        }
        from += places.length
      }
    }),
  )
})

test('frames in their usual order are decoded at even times, with one delay for the whole film', () => {
  const retime = clock().retime
  const first = timesOf(retime(segment(0, [0, 3, 1, 2, 6, 4, 5])))
  const second = timesOf(retime(segment(7, [2, 0, 1, 3])))
  expect([...first.decoded, ...second.decoded]).toEqual(Array.from({ length: 11 }, (_, index) => index * FRAME))
})

test('audio keeps its times; where they repeat, the next frame comes a tick later', () => {
  const retime = clock('soun').retime
  const track = segment(0, [0, 1, 2])
  const even = { ...track, samples: track.samples.map(sample => ({ ...sample, shownAfter: 0 })) }
  expect(retime(even)).toBe(even)
  const [first, ...rest] = even.samples
  const repeated = { ...even, decodeTime: 120, samples: [{ ...first, duration: 0 }, ...rest] as typeof even.samples }
  expect(timesOf(retime(repeated)).shown).toEqual([120, 121, 160])
})

test('audio that goes back by more than a moment is out of order', () => {
  const retime = clock('soun').retime
  const track = segment(0, [0])
  retime({ ...track, decodeTime: 5000 })
  expect(() => retime({ ...track, decodeTime: 4000 })).toThrow('out of order')
})

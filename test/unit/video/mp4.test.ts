import * as fc from 'fast-check'
import { expect, test } from 'vitest'

import { allBoxes, boxesIn, BrokenBoxes, viewOf, writeBox, writeInt32s } from '../../../src/video/mp4/boxes.ts'
import { countSamples, readFragment, sampleRanges, writeFragment } from '../../../src/video/mp4/fragment.ts'
import { readIndex, sampleDefaults, trackClocks } from '../../../src/video/mp4/movie.ts'
import { boxesOfFile, BoxStream } from '../../../src/video/mp4/top-level-boxes.ts'
import { concat } from '../../support/concat.ts'
import { sourceOf } from '../../support/originals.ts'

const FREE = writeBox('free')
const TFHD = writeBox('tfhd', writeInt32s(0, 1))

/** The content of a `moof` with one track of these boxes. */
const fragmentOf = (...boxes: readonly Uint8Array[]): DataView => viewOf(writeBox('traf', TFHD, ...boxes))

/** A run whose samples have no fields, so that any number of them fits. */
const claiming = (samples: number): Uint8Array => writeBox('trun', writeInt32s(0, samples))

test('boxes are read as they were written', () => {
  const boxes = fc.array(fc.tuple(fc.constantFrom('free', 'mdat', 'trak'), fc.uint8Array({ maxLength: 40 })))
  fc.assert(
    fc.property(boxes, written => {
      const bytes = concat(written.map(([type, body]) => writeBox(type, body)))
      const read = Array.from(boxesIn(viewOf(bytes)), ({ type, body }) => [
        type,
        new Uint8Array(body.buffer, body.byteOffset, body.byteLength),
      ])
      expect(read).toEqual(written)
    }),
  )
})

test.each([
  ['longer than what it lies in', writeInt32s(100, 0)],
  ['shorter than its header', writeInt32s(7, 0)],
  ['of no length', writeInt32s(0, 0)],
  ['longer than any file', writeInt32s(1, 0, -1, -1)],
  ['cut off in its header', new Uint8Array(3)],
])('a box that is %s is refused, or ends what is read', (_, damaged) => {
  const view = viewOf(concat([FREE, damaged, FREE]))
  expect(() => allBoxes(view, 'free')).toThrow(BrokenBoxes)
  expect(allBoxes(view, 'free', 'stop')).toHaveLength(1)
})

test('more boxes than any file has are refused, or end what is read', () => {
  const view = viewOf(concat(Array.from({ length: 100_001 }, () => FREE)))
  expect(() => allBoxes(view, 'free')).toThrow(BrokenBoxes)
  expect(allBoxes(view, 'free', 'stop')).toHaveLength(100_000)
})

test('boxes within boxes are not followed beyond the path that is looked for', () => {
  let nested = FREE
  for (let depth = 0; depth < 10_000; depth++) nested = writeBox('moov', nested)
  expect(readIndex(viewOf(nested)).tracks).toEqual([])
  expect(trackClocks(viewOf(nested)).size).toBe(0)
})

test('a few bytes cannot claim more samples than a fragment has', () => {
  expect(readFragment(fragmentOf(claiming(1000)))[0]?.samples).toHaveLength(1000)
  expect(() => readFragment(fragmentOf(claiming(-1)))).toThrow(BrokenBoxes)
  const runs = Array.from({ length: 1001 }, () => claiming(1000))
  expect(() => readFragment(fragmentOf(...runs))).toThrow(BrokenBoxes)
  expect(countSamples(fragmentOf(claiming(-1)))).toEqual([{ trackId: 1, samples: 2 ** 32 - 1 }])
})

test('a run that is shorter than its samples is refused', () => {
  const trun = writeBox('trun', writeInt32s(0x2_00, 3, 10, 10))
  expect(() => readFragment(fragmentOf(trun))).toThrow(BrokenBoxes)
})

test('a fragment is read as it was written, and its samples lie behind it without a gap', () => {
  const ticks = fc.integer({ min: 0, max: 100_000 })
  const sample = fc.record({ duration: ticks, size: ticks, flags: fc.nat(0x7f_ff_ff_ff), shownAfter: fc.integer() })
  const track = fc.record({
    decodeTime: fc.nat(Number.MAX_SAFE_INTEGER),
    samples: fc.array(
      sample.map(each => ({ ...each, shownAfter: each.shownAfter | 0 })),
      { maxLength: 20 },
    ),
  })
  fc.assert(
    fc.property(fc.array(track, { maxLength: 3 }), fc.nat(1e9), (written, at) => {
      const tracks = written.map((each, index) => ({ ...each, trackId: index + 1 }))
      const moof = writeFragment(7, tracks)
      const read = readFragment(allBoxes(viewOf(moof), 'moof')[0] ?? viewOf(FREE))
      expect(read.map(({ trackId, decodeTime, samples }) => ({ trackId, decodeTime, samples }))).toEqual(tracks)
      let end = at + moof.byteLength + 8
      for (const { offset, length } of sampleRanges(read, at)) {
        expect(offset).toBe(end)
        end += length
      }
    }),
  )
})

test('noise is read, refused as broken, or passed over, and nothing else', async () => {
  const noise = fc.uint8Array({ maxLength: 80 })
  const types = fc.constantFrom('moov', 'trak', 'mdia', 'tkhd', 'hdlr', 'mdhd', 'traf', 'tfhd', 'tfdt', 'trun', 'elst')
  const boxes = fc.array(fc.tuple(types, noise).map(([type, body]) => writeBox(type, body)))
  const readers = [readFragment, countSamples, trackClocks, sampleDefaults, readIndex]
  await fc.assert(
    fc.asyncProperty(fc.constantFrom('moov', 'trak', 'traf', 'edts'), boxes, noise, async (type, inner, rest) => {
      const bytes = concat([writeBox(type, ...inner, rest), rest])
      const stream = new BoxStream({ isHeld: () => true, onEnd: () => undefined })
      const outcomes = [...readers.map(read => outcome(() => read(viewOf(bytes)))), outcome(() => stream.push(bytes))]
      expect(outcomes.every(each => each === 'read' || each === 'broken')).toBe(true)
      const { signal } = new AbortController()
      for await (const box of boxesOfFile(sourceOf(bytes), { most: 100, signal })) await box.readContent()
    }),
  )
})

function outcome(read: () => unknown): unknown {
  try {
    read()
    return 'read'
  } catch (error) {
    return error instanceof BrokenBoxes ? 'broken' : error
  }
}

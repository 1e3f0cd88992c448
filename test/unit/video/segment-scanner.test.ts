import * as fc from 'fast-check'
import { expect, test } from 'vitest'

import { BrokenBoxes } from '../../../src/video/mp4/boxes.ts'
import { SegmentScanner } from '../../../src/video/ladder/segment-scanner.ts'
import { box, fragment, fragmentedFile } from '../../support/boxes.ts'

const scan = (pieces: Iterable<Uint8Array>): SegmentScanner => {
  const scanner = new SegmentScanner()
  for (const piece of pieces) scanner.push(piece)
  scanner.end()
  return scanner
}

function* cut(bytes: Uint8Array, lengths: readonly number[]): Generator<Uint8Array> {
  let at = 0
  for (let index = 0; at < bytes.byteLength; index++) {
    const end = at + (lengths[index % lengths.length] ?? 1)
    yield bytes.subarray(at, end)
    at = end
  }
}

test('wherever it is cut, the same head and segments are found, without a gap', () => {
  const fragments = fc.array(
    fc.record({ samples: fc.integer({ min: 1, max: 9 }), bytes: fc.nat(500), large: fc.boolean() }),
  )
  const lengths = fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1 })
  fc.assert(
    fc.property(fragments, lengths, (fragments, lengths) => {
      const { bytes, head } = fragmentedFile(fragments)
      const scanner = scan(cut(bytes, lengths))
      expect(scanner.init).toEqual([0, head])
      expect(scanner.segments.map(([, , seconds]) => seconds)).toEqual(fragments.map(({ samples }) => samples / 25))
      let at = head
      for (const [offset, length] of scanner.segments) {
        expect(offset).toBe(at)
        at += length
      }
      expect(at).toBe(bytes.byteLength)
    }),
  )
})

test('noise is refused or passes, and never takes anything else down', () => {
  const noise = fc.array(fc.uint8Array({ maxLength: 60 }))
  fc.assert(
    fc.property(fc.boolean(), noise, (hasHead, pieces) => {
      const head = hasHead ? [fragmentedFile([]).bytes] : []
      expect(() => {
        try {
          scan([...head, ...pieces])
        } catch (error) {
          if (!(error instanceof BrokenBoxes)) throw error
        }
      }).not.toThrow()
    }),
  )
})

test.each([
  ['a length of zero', [Buffer.from([0, 0, 0, 0, 0x6d, 0x64, 0x61, 0x74])]],
  ['a head that is too long', [Buffer.from([0x7f, 0xff, 0xff, 0xff, 0x6d, 0x6f, 0x6f, 0x76])]],
  ['two heads', [fragmentedFile([]).bytes, fragmentedFile([]).bytes]],
  ['a fragment without a head', [fragment({ samples: 1, bytes: 1, large: false })]],
  ['an end within a box', [fragmentedFile([{ samples: 1, bytes: 9, large: false }]).bytes.subarray(0, -1)]],
  ['an end within a header', [fragmentedFile([]).bytes, Buffer.from([0, 0, 0])]],
  ['an empty head', [box('moov', Buffer.alloc(3))]],
])('%s is refused', (_, pieces) => {
  expect(() => scan(pieces)).toThrow(BrokenBoxes)
})

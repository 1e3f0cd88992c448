import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import { parseRange, resolveRange } from '../../../src/protocol/ranges.ts'

const responseTo = (header: string, sizeBytes: number) => {
  const spec = parseRange(header)
  return spec === null ? 'whole' : (resolveRange(spec, sizeBytes) ?? 'outside')
}

describe('a Range header', () => {
  test.each([
    ['bytes=0-0', 10, { start: 0, end: 1 }],
    ['bytes=0-9', 10, { start: 0, end: 10 }],
    ['bytes=0-', 10, { start: 0, end: 10 }],
    ['bytes=9-', 10, { start: 9, end: 10 }],
    ['bytes=3-99', 10, { start: 3, end: 10 }],
    ['bytes=3-99999999999999999999999999', 10, { start: 3, end: 10 }],
    ['bytes=-1', 10, { start: 9, end: 10 }],
    ['bytes=-10', 10, { start: 0, end: 10 }],
    ['bytes=-1000', 500, { start: 0, end: 500 }],
    ['BYTES=1-2', 10, { start: 1, end: 3 }],
    ['bytes= 1-2 ', 10, { start: 1, end: 3 }],
  ])('%s of %i bytes names one run', (header, sizeBytes, range) => {
    expect(responseTo(header, sizeBytes)).toEqual(range)
  })

  test.each(['bytes=10-', 'bytes=10-11', 'bytes=-0', 'bytes=99999999999999999999999-'])(
    '%s lies outside of 10 bytes',
    header => {
      expect(responseTo(header, 10)).toBe('outside')
    },
  )

  test.each([
    '',
    'bytes',
    'bytes=',
    'bytes=-',
    'bytes=a-b',
    'bytes=2-1',
    'bytes=1-2,4-5',
    'bytes=1-2,',
    'bytes=--1',
    'bytes=1--2',
    'bytes=+1-2',
    'bytes=0x1-2',
    'bytes =1-2',
    'items=1-2',
    'bytes=1-2;q=1',
    `bytes=${'0'.repeat(300)}-1`,
  ])('%s is ignored', header => {
    expect(responseTo(header, 10)).toBe('whole')
  })

  test('never names bytes outside of the media, whatever it says', () => {
    const digits = fc.bigInt({ min: 0n, max: 10n ** 20n }).map(String)
    const header = fc.tuple(fc.option(digits), fc.option(digits)).map(([a, b]) => `bytes=${a ?? ''}-${b ?? ''}`)
    fc.assert(
      fc.property(header, fc.integer({ min: 1, max: 1000 }), (text, sizeBytes) => {
        const range = responseTo(text, sizeBytes)
        if (typeof range === 'string') return
        expect(range.start).toBeGreaterThanOrEqual(0)
        expect(range.end).toBeGreaterThan(range.start)
        expect(range.end).toBeLessThanOrEqual(sizeBytes)
      }),
    )
  })

  test('of hostile text is a run or nothing, never an exception', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 2000 }), text => {
        expect(['whole', 'outside', undefined]).toContain(
          typeof responseTo(`bytes=${text}`, 10) === 'string' ? responseTo(`bytes=${text}`, 10) : undefined,
        )
      }),
    )
  })
})

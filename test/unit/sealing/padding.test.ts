import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { MIN_PADDED_BYTES, paddedLength } from '../../../src/sealing/index.ts'

const MOST = Number.MAX_SAFE_INTEGER

test('nothing, and anything short, is padded to the same least length', () => {
  expect([0, 1, 540, 541].map(paddedLength)).toEqual([541, 541, 541, 541])
  expect(MIN_PADDED_BYTES).toBe(541)
  expect(paddedLength(542)).toBeGreaterThan(541)
})

test('never shorter than the plaintext, at most 5 % longer above the least length', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: MOST }), plainBytes => {
      const padded = paddedLength(plainBytes)
      expect(padded).toBeGreaterThanOrEqual(plainBytes)
      expect(padded).toBeLessThanOrEqual(Math.max(541, plainBytes * 1.05))
    }),
    { numRuns: 5000 },
  )
})

test('never falls as the plaintext grows, and pads a padded length no further', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: MOST }), fc.integer({ min: 0, max: MOST }), (a, b) => {
      expect(paddedLength(Math.min(a, b))).toBeLessThanOrEqual(paddedLength(Math.max(a, b)))
      expect(paddedLength(paddedLength(a))).toBe(paddedLength(a))
    }),
    { numRuns: 5000 },
  )
})

test('every size floor(1.05^k) is padded to itself, and one byte more to the next', () => {
  let [power, scale] = [21n ** 130n, 20n ** 130n]
  for (let border = power / scale; border * 21n < BigInt(MOST) * 20n; border = power / scale) {
    ;[power, scale] = [power * 21n, scale * 20n]
    expect(paddedLength(Number(border))).toBe(Number(border))
    expect(paddedLength(Number(border) + 1)).toBe(Number(power / scale))
  }
})

test('the greatest length is still held, where the next size has no exact number', () => {
  expect(paddedLength(MOST)).toBe(MOST)
})

test('what is no length is refused', () => {
  for (const plainBytes of [-1, 0.5, Number.NaN, Infinity, MOST + 1]) {
    expect(() => paddedLength(plainBytes)).toThrow(RangeError)
  }
})

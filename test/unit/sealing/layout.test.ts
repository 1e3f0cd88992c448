import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  chunkCount,
  chunkOfPlain,
  isSealingError,
  maxPlainBytes,
  plainCapacity,
  plainLength,
  plainRangeOfChunk,
  sealedChunkCount,
  sealedLength,
  sealedRangeFor,
  sealedRangeOfChunk,
} from '../../../src/sealing/index.ts'

const chunkSizes = fc.oneof(fc.constantFrom(1024, 4096, 262_144, 4_194_304), fc.integer({ min: 1024, max: 4_194_304 }))

/** A chunk size and a plaintext length, often one that lies around a chunk border, however far out. */
const lengths = chunkSizes.chain(chunkBytes => {
  const most = maxPlainBytes(chunkBytes)
  const nearBorder = fc
    .tuple(fc.integer({ min: 0, max: Math.floor(most / (chunkBytes - 16)) }), fc.integer({ min: -2, max: 2 }))
    .map(([index, offset]) => Math.min(most, Math.max(0, index * (chunkBytes - 16) - 40 + offset)))
  const anywhere = fc.integer({ min: 0, max: most })
  return fc.record({ chunkBytes: fc.constant(chunkBytes), plainBytes: fc.oneof(nearBorder, anywhere) })
})

const ceilDivide = (a: bigint, b: bigint): bigint => (a + b - 1n) / b

describe('lengths', () => {
  test('agree with whole-number arithmetic up to the largest plaintext', () => {
    fc.assert(
      fc.property(lengths, ({ chunkBytes, plainBytes }) => {
        const slots = ceilDivide(BigInt(plainBytes) + 40n, BigInt(chunkBytes) - 16n)
        const count = slots > 0n ? slots : 1n
        expect(BigInt(chunkCount(plainBytes, chunkBytes))).toBe(count)
        expect(BigInt(sealedLength(plainBytes, chunkBytes))).toBe(BigInt(plainBytes) + 40n + 16n * count)
        expect(chunkOfPlain(plainBytes, chunkBytes)).toBe(
          Number((BigInt(plainBytes) + 40n) / (BigInt(chunkBytes) - 16n)),
        )
      }),
      { numRuns: 2000 },
    )
  })

  test('plain and sealed length are inverses, and both count the same chunks', () => {
    fc.assert(
      fc.property(lengths, ({ chunkBytes, plainBytes }) => {
        const sealedBytes = sealedLength(plainBytes, chunkBytes)
        expect(plainLength(sealedBytes, chunkBytes)).toBe(plainBytes)
        expect(sealedChunkCount(sealedBytes, chunkBytes)).toBe(chunkCount(plainBytes, chunkBytes))
      }),
      { numRuns: 2000 },
    )
  })

  test('every sealed length is either refused or that of exactly one plaintext length', () => {
    for (let sealedBytes = 0; sealedBytes < 5000; sealedBytes++) {
      const honest = candidates(sealedBytes).filter(length => sealedLength(length, 1024) === sealedBytes)
      expect([lengthOrRefusal(sealedBytes)]).toEqual(honest.length === 0 ? ['refused'] : honest)
    }
  })

  test('the largest plaintext is the last that is not too long, and never takes more than 2^32 chunks', () => {
    for (const chunkBytes of [1024, 262_144, 4_194_304]) {
      const most = maxPlainBytes(chunkBytes)
      expect(chunkCount(most, chunkBytes)).toBeLessThanOrEqual(2 ** 32)
      expect(Number.isSafeInteger(sealedLength(most, chunkBytes))).toBe(true)
      expect(codeOf(() => sealedLength(most + 1, chunkBytes))).toBe('too_long')
    }
    expect(chunkCount(maxPlainBytes(262_144), 262_144)).toBe(2 ** 32)
  })

  test('threat 19: a forged chunk size is refused before anything is allocated for it', () => {
    for (const chunkBytes of [0, -1, 16, 56, 1023, 4_194_305, 2 ** 40, 1024.5, Number.NaN, Infinity]) {
      expect(codeOf(() => sealedLength(1, chunkBytes))).toBe('invalid_argument')
      expect(codeOf(() => plainLength(4096, chunkBytes))).toBe('invalid_argument')
    }
  })

  test('what is no length is refused', () => {
    for (const plainBytes of [-1, 0.5, Number.NaN, Infinity, 2 ** 53]) {
      expect(codeOf(() => sealedLength(plainBytes, 1024))).toBe('invalid_argument')
    }
    for (const sealedBytes of [-1, 0, 55, 56.5, Number.NaN, Infinity, 2 ** 53]) {
      expect(codeOf(() => plainLength(sealedBytes, 1024))).toBe('damaged')
    }
  })
})

describe('chunks', () => {
  test('tile the plaintext and the sealed bytes without gap or overlap', () => {
    const small = fc.record({
      chunkBytes: fc.integer({ min: 1024, max: 3000 }),
      plainBytes: fc.integer({ min: 0, max: 20_000 }),
    })
    fc.assert(
      fc.property(small, ({ chunkBytes, plainBytes }) => {
        const sealedBytes = sealedLength(plainBytes, chunkBytes)
        let [plainEnd, sealedEnd] = [0, 40]
        for (let index = 0; index < chunkCount(plainBytes, chunkBytes); index++) {
          const plain = plainRangeOfChunk(index, plainBytes, chunkBytes)
          const sealed = sealedRangeOfChunk(index, sealedBytes, chunkBytes)
          expect([plain.start, sealed.start]).toEqual([plainEnd, sealedEnd])
          expect(sealed.end - sealed.start).toBe(plain.end - plain.start + 16)
          expect(plain.end - plain.start).toBeLessThanOrEqual(plainCapacity(index, chunkBytes))
          ;[plainEnd, sealedEnd] = [plain.end, sealed.end]
        }
        expect([plainEnd, sealedEnd]).toEqual([plainBytes, sealedBytes])
      }),
    )
  })

  test('a chunk that does not exist has no range', () => {
    for (const index of [-1, 0.5, 2, 2 ** 32]) {
      expect(codeOf(() => plainRangeOfChunk(index, 1976, 1024))).toBe('invalid_argument')
      expect(codeOf(() => sealedRangeOfChunk(index, 2048, 1024))).toBe('invalid_argument')
    }
  })
})

describe('ranges', () => {
  test('are covered by whole chunks, and by none too many', () => {
    const cases = fc
      .record({ chunkBytes: fc.integer({ min: 1024, max: 3000 }), plainBytes: fc.integer({ min: 1, max: 20_000 }) })
      .chain(size => fc.tuple(fc.constant(size), fc.nat(size.plainBytes), fc.nat(size.plainBytes)))
    fc.assert(
      fc.property(cases, ([{ chunkBytes, plainBytes }, a, b]) => {
        const [start, end] = [Math.min(a, b), Math.max(a, b)]
        const covering = sealedRangeFor({ start, end }, sealedLength(plainBytes, chunkBytes), chunkBytes)
        const first = plainRangeOfChunk(covering.firstChunk, plainBytes, chunkBytes)
        const last = plainRangeOfChunk(covering.lastChunk, plainBytes, chunkBytes)
        expect(first.start).toBeLessThanOrEqual(start)
        expect(last.end).toBeGreaterThanOrEqual(end)
        expect(start === end || (first.end > start && last.start < end)).toBe(true)
      }),
    )
  })

  test('outside the plaintext are refused', () => {
    const outside = [
      [-1, 1],
      [1, 0],
      [0, 11],
      [11, 11],
      [0.5, 1],
      [0, Number.NaN],
      [0, Infinity],
    ] as const
    for (const [start, end] of outside) {
      expect(codeOf(() => sealedRangeFor({ start, end }, sealedLength(10, 1024), 1024))).toBe('invalid_argument')
    }
  })

  test('may reach past the end while the length is unknown', () => {
    const covering = sealedRangeFor({ start: 968, end: 3000 }, undefined, 1024)
    expect(covering).toEqual({ start: 1024, end: 4096, firstChunk: 1, lastChunk: 3 })
  })
})

function codeOf(action: () => unknown): string {
  try {
    action()
  } catch (error) {
    if (isSealingError(error)) return error.code
    throw error
  }
  return 'no error'
}

function lengthOrRefusal(sealedBytes: number): number | 'refused' {
  try {
    return plainLength(sealedBytes, 1024)
  } catch (error) {
    if (isSealingError(error, 'damaged')) return 'refused'
    throw error
  }
}

function candidates(sealedBytes: number): number[] {
  return Array.from({ length: 8 }, (_, chunks) => sealedBytes - 40 - 16 * chunks).filter(length => length >= 0)
}

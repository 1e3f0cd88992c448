import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  createOpener,
  openRange,
  provePlainLength,
  readOpener,
  sealBytes,
  webSuite,
} from '../../../src/sealing/index.ts'
import type { ByteSource, CryptoSuite, Opener, OpenRangeOptions } from '../../../src/sealing/index.ts'
import { nodeSuite } from '../../../src/sealing/node-suite.ts'
import { allOf, isDamaged, outcomeOf, patternBytes, sameBytes, streamOf } from '../../support/sealing.ts'

const OPENING = { key: new Uint8Array(32).fill(3), role: 'media', chunkBytes: 1024 } as const
const LENGTH = 20_000

const positions = fc.oneof(
  fc.integer({ min: 0, max: LENGTH }),
  fc
    .tuple(fc.integer({ min: 0, max: 20 }), fc.integer({ min: -1, max: 1 }))
    .map(([i, d]) => Math.min(LENGTH, Math.max(0, i * 1008 - 40 + d))),
)

/** Sealed bytes, and which of them were asked for. */
interface Shelf {
  readonly plain: Uint8Array
  readonly sealed: Uint8Array
  readonly opener: Opener
  readonly asked: (readonly [number, number])[]
  readonly read: (start: number, end: number) => ByteSource
}

async function shelfOf(suite: CryptoSuite, length = LENGTH): Promise<Shelf> {
  const plain = patternBytes(length)
  const { sealed, commit } = await sealBytes({ ...OPENING, suite, plain, padded: false })
  const asked: (readonly [number, number])[] = []
  const read = (start: number, end: number): ByteSource => {
    asked.push([start, end])
    return streamOf(sealed.subarray(start, end), [700, 1, 1500])
  }
  const opener = await createOpener({ ...OPENING, suite, commit, header: sealed.subarray(0, 40) })
  return { plain, sealed, opener, asked, read }
}

describe.each([
  ['web suite', webSuite],
  ['node suite', nodeSuite],
])('ranges, %s', (_, suite) => {
  test('any range opens to exactly its bytes, with one read of just the chunks that cover it', async () => {
    const { plain, sealed, opener, asked, read } = await shelfOf(suite)
    await fc.assert(
      fc.asyncProperty(positions, positions, fc.boolean(), async (a, b, lengthTold) => {
        const range = { start: Math.min(a, b), end: Math.max(a, b) }
        const sealedBytes = lengthTold ? sealed.byteLength : undefined
        asked.length = 0
        const opened = await allOf(openRange({ opener, read, range, sealedBytes }))
        expect(sameBytes(opened, plain.slice(range.start, range.end))).toBe(true)
        const first = Math.floor((range.start + 40) / 1008)
        const behind = Math.floor((range.end + 39) / 1008) + 1
        const covering = [Math.max(40, first * 1024), Math.min(sealedBytes ?? Infinity, behind * 1024)]
        expect(asked).toEqual(range.start === range.end ? [] : [covering])
      }),
      { numRuns: 150 },
    )
  })

  test('takes its bytes whole, as a stream or as slices to iterate over', async () => {
    const { plain, sealed, opener } = await shelfOf(suite, 3000)
    const shapes: ((bytes: Uint8Array) => ByteSource)[] = [
      bytes => bytes,
      bytes => streamOf(bytes, [1]),
      async function* (bytes) {
        yield bytes.subarray(0, 100)
        yield bytes.subarray(100)
      },
    ]
    for (const shape of shapes) {
      const read = async (start: number, end: number): Promise<ByteSource> => shape(sealed.subarray(start, end))
      const options = { opener, read, sealedBytes: sealed.byteLength, range: { start: 5, end: 2900 } }
      expect(sameBytes(await allOf(openRange(options)), plain.slice(5, 2900))).toBe(true)
    }
  })

  test('while the length is unknown, a range may reach past the end and stops behind the last chunk', async () => {
    for (const length of [0, 1, 967, 968, 969, 1976, 3000]) {
      const { plain, opener, read } = await shelfOf(suite, length)
      const opened = await allOf(openRange({ opener, read, range: { start: 0, end: 1e6 } }))
      expect(sameBytes(opened, plain)).toBe(true)
    }
  })

  test('threat 11: while the length is unknown, a cut at a chunk border is not taken for the end', async () => {
    const { sealed, opener } = await shelfOf(suite)
    const cut = sealed.subarray(0, 3 * 1024)
    const read = (start: number, end: number): ByteSource => cut.subarray(start, end)
    const { bytes, error } = await outcomeOf(() => openRange({ opener, read, range: { start: 0, end: 1e6 } }))
    expect(isDamaged(error)).toBe(true)
    expect(bytes.byteLength).toBe(3 * 1008 - 40)
  })

  test('too few, too many and other bytes than asked for are refused', async () => {
    const { plain, sealed, opener } = await shelfOf(suite)
    const responses: ((start: number, end: number) => Uint8Array)[] = [
      (start, end) => sealed.subarray(start, end - 1),
      (start, end) => sealed.subarray(start, end + 1),
      (start, end) => sealed.subarray(start - 1, end - 1),
      (start, end) => sealed.subarray(start + 1024, end + 1024),
      start => sealed.subarray(start),
      () => sealed,
      () => new Uint8Array(0),
    ]
    for (const read of responses) {
      const range = { start: 2000, end: 5000 }
      const options: OpenRangeOptions = { opener, read, sealedBytes: sealed.byteLength, range }
      const { bytes, error } = await outcomeOf(() => openRange(options))
      expect(isDamaged(error)).toBe(true)
      expect(sameBytes(bytes, plain.slice(2000, 2000 + bytes.byteLength))).toBe(true)
    }
  })

  test('what precedes a damaged chunk is still delivered, nothing of it and behind it', async () => {
    const { plain, sealed, opener } = await shelfOf(suite)
    const damaged = sealed.slice()
    damaged[3 * 1024 + 5] = (damaged[3 * 1024 + 5] ?? 0) ^ 4
    const read = (start: number, end: number): ByteSource => damaged.subarray(start, end)
    const range = { start: 100, end: 15_000 }
    const { bytes, error } = await outcomeOf(() => openRange({ opener, read, sealedBytes: sealed.byteLength, range }))
    expect(isDamaged(error)).toBe(true)
    expect(sameBytes(bytes, plain.slice(100, 3 * 1008 - 40))).toBe(true)
  })

  test('a range outside the plaintext is refused before anything is read', async () => {
    const { sealed, opener, read, asked } = await shelfOf(suite, 3000)
    for (const range of [
      { start: 0, end: 3001 },
      { start: -1, end: 5 },
      { start: 7, end: 6 },
    ]) {
      const { error } = await outcomeOf(() => openRange({ opener, read, sealedBytes: sealed.byteLength, range }))
      expect(error).toMatchObject({ code: 'invalid_argument' })
    }
    expect(asked).toEqual([])
  })

  test('yields each chunk as it comes, not when the next one does', async () => {
    const { plain, sealed, opener } = await shelfOf(suite)
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>()
    const writer = writable.getWriter()
    const options = { opener, read: () => readable, sealedBytes: sealed.byteLength, range: { start: 0, end: 5000 } }
    const pieces = openRange(options)
    for (const index of [0, 1, 2]) {
      void writer.write(sealed.slice(Math.max(40, index * 1024), (index + 1) * 1024))
      const { value } = await pieces.next()
      expect(value).toEqual(plain.slice(Math.max(0, index * 1008 - 40), (index + 1) * 1008 - 40))
    }
    await pieces.return()
  })

  test('stopping early aborts the read', async () => {
    const { sealed, opener } = await shelfOf(suite)
    let cancelled = false
    let signalled: AbortSignal | undefined
    const read = (start: number, _end: number, signal: AbortSignal): ByteSource => {
      signalled = signal
      return new ReadableStream({
        start: controller => controller.enqueue(sealed.slice(start, start + 3000)),
        cancel: () => void (cancelled = true),
      })
    }
    for await (const piece of openRange({
      opener,
      read,
      sealedBytes: sealed.byteLength,
      range: { start: 0, end: LENGTH },
    })) {
      expect(piece.byteLength).toBeGreaterThan(0)
      break
    }
    expect([cancelled, signalled?.aborted]).toEqual([true, true])
  })

  test('stopping early ends a source that is iterated over', async () => {
    const { sealed, opener } = await shelfOf(suite)
    let ended = false
    const read = async function* (start: number, end: number): AsyncGenerator<Uint8Array> {
      try {
        for (let at = start; at < end; at += 2048) yield sealed.subarray(at, Math.min(end, at + 2048))
      } finally {
        ended = true
      }
    }
    const pieces = openRange({ opener, read, sealedBytes: sealed.byteLength, range: { start: 0, end: LENGTH } })
    await pieces.next()
    await pieces.return()
    await expect.poll(() => ended).toBe(true)
  })

  test('an abort ends a read that hangs', async () => {
    const { sealed, opener } = await shelfOf(suite)
    const stop = new AbortController()
    const hanging = (): ByteSource => new ReadableStream({ pull: () => new Promise(() => {}) })
    const range = { start: 0, end: LENGTH }
    const options = { opener, read: hanging, sealedBytes: sealed.byteLength, range, signal: stop.signal }
    const reading = allOf(openRange(options))
    setImmediate(() => stop.abort(new Error('stopped')))
    await expect(reading).rejects.toThrow('stopped')
    await expect(allOf(openRange(options))).rejects.toThrow('stopped')
  })

  test('an error of the read comes through as it is', async () => {
    const { sealed, opener } = await shelfOf(suite)
    const read = (): Promise<ByteSource> => Promise.reject(new Error('the line is cut'))
    const options = { opener, read, sealedBytes: sealed.byteLength, range: { start: 0, end: 1 } }
    await expect(allOf(openRange(options))).rejects.toThrow('the line is cut')
  })

  test('keeps only a few chunks at once, however long the range', async () => {
    const { sealed, opener } = await shelfOf(suite)
    let taken = 0
    const read = async function* (start: number, end: number): AsyncGenerator<Uint8Array> {
      for (let at = start; at < end; at += 512) {
        taken += 512
        yield sealed.subarray(at, Math.min(end, at + 512))
      }
    }
    const pieces = openRange({ opener, read, sealedBytes: sealed.byteLength, range: { start: 0, end: LENGTH } })
    await pieces.next()
    for (let turn = 0; turn < 50; turn++) await new Promise(resolve => setImmediate(resolve))
    expect(taken).toBeLessThanOrEqual((suite.parallel + 2) * 1024)
    await pieces.return()
  })

  test('an opener is made from the header alone, and a forged header makes none', async () => {
    const { sealed, read, asked } = await shelfOf(suite)
    await readOpener({ ...OPENING, suite, read })
    expect(asked).toEqual([[0, 40]])
    const otherVersion = Uint8Array.from(sealed.subarray(0, 40), (byte, index) => (index === 0 ? byte ^ 1 : byte))
    for (const forged of [sealed.subarray(0, 39), otherVersion, sealed.subarray(0, 41), new Uint8Array(0)]) {
      await expect(readOpener({ ...OPENING, suite, read: () => forged })).rejects.toMatchObject({ code: 'damaged' })
    }
  })

  test('a claimed length is believed only once the last chunk proves it', async () => {
    const { sealed, opener, read, asked } = await shelfOf(suite)
    expect(await provePlainLength({ opener, read, sealedBytes: sealed.byteLength })).toBe(LENGTH)
    expect(asked).toEqual([[19 * 1024, sealed.byteLength]])
    for (const sealedBytes of [
      sealed.byteLength + 1,
      sealed.byteLength - 1,
      19 * 1024,
      1024,
      56,
      sealed.byteLength + 2000,
    ]) {
      await expect(provePlainLength({ opener, read, sealedBytes })).rejects.toMatchObject({ code: 'damaged' })
    }
  })
})

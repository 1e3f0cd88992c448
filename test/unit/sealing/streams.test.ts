import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  createSealer,
  openBytes,
  openStream,
  paddedLength,
  padStream,
  sealBytes,
  sealedLength,
  sealStream,
  webSuite,
} from '../../../src/sealing/index.ts'
import type { CryptoSuite, OpenStreamOptions, Sealer } from '../../../src/sealing/index.ts'
import { nodeSuite } from '../../../src/sealing/node-suite.ts'
import { allOf, isDamaged, joined, outcomeOf, patternBytes, sameBytes, streamOf } from '../../support/sealing.ts'

const KEY = new Uint8Array(32).fill(3)
const CHUNK_BYTES = 1024
const FIXED = { key: KEY, role: 'media', chunkBytes: CHUNK_BYTES } as const
const SALT = { salt: new Uint8Array(32).fill(5), noncePrefix: new Uint8Array(7).fill(6) }

/** Lengths around chunk borders more often than not. */
const lengths = fc.oneof(
  fc.integer({ min: 0, max: 9000 }),
  fc
    .tuple(fc.integer({ min: 0, max: 8 }), fc.integer({ min: -1, max: 1 }))
    .map(([i, d]) => Math.max(0, i * 1008 - 40 + d)),
)
const slices = fc
  .array(fc.integer({ min: 0, max: 3000 }), { minLength: 1, maxLength: 6 })
  .filter(all => all.some(n => n > 0))

describe.each([
  ['web suite', webSuite],
  ['node suite', nodeSuite],
])('streams, %s', (_, suite) => {
  test('any length, in any slices, seals to the same bytes as a whole and opens again in any slices', async () => {
    await fc.assert(
      fc.asyncProperty(lengths, slices, slices, fc.boolean(), async (length, slicesIn, slicesBack, lengthTold) => {
        const plain = patternBytes(length)
        const sealer = await createSealer({ ...FIXED, ...SALT, suite })
        const sealed = await allOf(streamOf(plain, slicesIn).pipeThrough(sealStream(sealer)))
        const whole = await sealBytes({ ...FIXED, ...SALT, suite, plain, padded: false })
        expect(sameBytes(sealed, whole.sealed)).toBe(true)
        expect(sealed).toHaveLength(sealedLength(length, CHUNK_BYTES))
        const options = {
          ...FIXED,
          suite,
          commit: sealer.commit,
          ...(lengthTold ? { sealedBytes: sealed.byteLength } : {}),
        }
        const opened = await allOf(streamOf(sealed, slicesBack).pipeThrough(openStream(options)))
        expect(sameBytes(opened, plain)).toBe(true)
      }),
      { numRuns: 150 },
    )
  })

  test('any length, padded while it streams, opens to its true length', async () => {
    await fc.assert(
      fc.asyncProperty(lengths, slices, async (length, cuts) => {
        const plain = patternBytes(length)
        const sealer = await createSealer({ ...FIXED, suite })
        const padding = padStream()
        const sealed = await allOf(streamOf(plain, cuts).pipeThrough(padding).pipeThrough(sealStream(sealer)))
        expect(padding.plainBytes).toBe(length)
        expect(sealed).toHaveLength(sealedLength(paddedLength(length), CHUNK_BYTES))
        const options = { ...FIXED, suite, sealedBytes: sealed.byteLength, plainBytes: length }
        expect(sameBytes(await allOf(streamOf(sealed).pipeThrough(openStream(options))), plain)).toBe(true)
        expect(sameBytes(await openBytes({ ...options, sealed }), plain)).toBe(true)
      }),
      { numRuns: 60 },
    )
  })

  test('a sealer refuses a second stream with other bytes', async () => {
    const sealer = await createSealer({ ...FIXED, suite })
    await allOf(streamOf(patternBytes(3000)).pipeThrough(sealStream(sealer)))
    const again = await outcomeOf(() => streamOf(new Uint8Array(3000)).pipeThrough(sealStream(sealer)))
    expect(again.error).toMatchObject({ code: 'source_changed' })
    expect(again.bytes).toHaveLength(40)
  })

  test('a complete chunk leaves before the next bytes come, when the length is given', async () => {
    const { sealed } = await sealBytes({ ...FIXED, suite, plain: patternBytes(3000), padded: false })
    const { reader, writer } = opened(suite, { sealedBytes: sealed.byteLength })
    void writer.write(sealed.subarray(0, 1024))
    expect((await reader.read()).value).toEqual(patternBytes(968))
    void writer.write(sealed.subarray(1024, 2048))
    expect((await reader.read()).value).toHaveLength(1008)
    await reader.cancel()
  })

  test('no plaintext leaves before its chunk is whole and authentic, and the stream never closes on a cut', async () => {
    const { sealed } = await sealBytes({ ...FIXED, suite, plain: patternBytes(3000), padded: false })
    for (const sealedBytes of [undefined, sealed.byteLength]) {
      for (let length = 0; length < sealed.byteLength; length += 13) {
        const { bytes, error } = await outcomeOf(() =>
          streamOf(sealed.subarray(0, length)).pipeThrough(openStream({ ...FIXED, suite, sealedBytes })),
        )
        expect(isDamaged(error)).toBe(true)
        expect(sameBytes(bytes, patternBytes(3000).slice(0, bytes.byteLength))).toBe(true)
        expect(bytes.byteLength).toBeLessThanOrEqual(length)
      }
    }
  })

  test('takes in a bounded amount while it has no reader', async () => {
    const sealer = await createSealer({ ...FIXED, suite })
    const most = (2 * suite.parallel + 3) * CHUNK_BYTES
    expect(await takenIn(sealStream(sealer))).toBeLessThanOrEqual(most)
    const { sealed } = await sealBytes({ ...FIXED, suite, plain: patternBytes(100_000), padded: false })
    expect(await takenIn(openStream({ ...FIXED, suite }), sealed)).toBeLessThanOrEqual(most)
    expect(await takenIn(padStream())).toBeLessThanOrEqual(most)
  })

  test('has no more chunks in the works than the suite asks for, however slow they are', async () => {
    const slow: CryptoSuite = {
      ...suite,
      parallel: 3,
      aesGcm: async () => ({ seal: () => new Promise(() => {}), open: () => new Promise(() => {}) }),
    }
    const most = (slow.parallel + 2) * CHUNK_BYTES
    expect(await takenIn(sealStream(await createSealer({ ...FIXED, suite: slow })))).toBeLessThanOrEqual(most)
    const { sealed } = await sealBytes({ ...FIXED, suite, plain: patternBytes(100_000), padded: false })
    expect(await takenIn(openStream({ ...FIXED, suite: slow }), sealed)).toBeLessThanOrEqual(most)
  })

  test('nothing behind the told end leaves, however authentic it is', async () => {
    const [ending, goingOn] = await Promise.all([
      createSealer({ ...FIXED, ...SALT, suite }),
      createSealer({ ...FIXED, ...SALT, suite }),
    ])
    const sealed = joined([
      ending.header,
      await ending.sealChunk(0, new Uint8Array(968), false),
      await ending.sealChunk(1, new Uint8Array(1008), true),
      await goingOn.sealChunk(2, new Uint8Array(1008), false),
    ])
    const { bytes, error } = await outcomeOf(() =>
      streamOf(sealed).pipeThrough(openStream({ ...FIXED, suite, sealedBytes: 2048 })),
    )
    expect(isDamaged(error)).toBe(true)
    expect(bytes.byteLength).toBeLessThanOrEqual(1976)
  })

  test('stops at once when the reader gives up, and notifies the writer', async () => {
    const { reader, writer } = opened(suite, {})
    const { sealed } = await sealBytes({ ...FIXED, suite, plain: patternBytes(100_000), padded: false })
    void writer.write(sealed.subarray(0, 10_000)).catch(() => {})
    await reader.read()
    await reader.cancel(new Error('enough'))
    await expect(writer.write(sealed.subarray(10_000))).rejects.toThrow('enough')
  })

  test('an abort of the pipe reaches both ends', async () => {
    const stop = new AbortController()
    let cancelled: unknown
    const endless = new ReadableStream<Uint8Array>({
      pull: controller => controller.enqueue(patternBytes(500)),
      cancel: reason => void (cancelled = reason),
    })
    const sealer = await createSealer({ ...FIXED, suite })
    const sink = new WritableStream<Uint8Array>({
      write() {
        stop.abort(new Error('stopped'))
      },
    })
    const sealing = endless
      .pipeThrough(padStream())
      .pipeThrough(sealStream(sealer))
      .pipeTo(sink, { signal: stop.signal })
    await expect(sealing).rejects.toThrow('stopped')
    expect(cancelled).toMatchObject({ message: 'stopped' })
  })

  test('an error of the source comes through as it is', async () => {
    const broken = new ReadableStream<Uint8Array>({
      pull: controller => controller.error(new Error('the disk is gone')),
    })
    const sealer: Sealer = await createSealer({ ...FIXED, suite })
    const { error } = await outcomeOf(() => broken.pipeThrough(padStream()).pipeThrough(sealStream(sealer)))
    expect(error).toMatchObject({ message: 'the disk is gone' })
  })
})

test('the zeros of the padding are made as they are read', async () => {
  const padding = padStream()
  const writer = padding.writable.getWriter()
  const reader = padding.readable.getReader()
  const writing = (async () => {
    for (let index = 0; index < 64; index++) await writer.write(new Uint8Array(1024 * 1024).fill(1))
    await writer.close()
  })()
  let [length, most] = [0, 0]
  for (let next = await reader.read(); !next.done; next = await reader.read()) {
    length += next.value.byteLength
    most = Math.max(most, next.value[0] === 0 ? next.value.byteLength : 0)
  }
  await writing
  expect(length).toBe(paddedLength(64 * 1024 * 1024))
  expect(most).toBeLessThanOrEqual(64 * 1024)
})

function opened(
  suite: CryptoSuite,
  more: Partial<OpenStreamOptions>,
): {
  reader: ReadableStreamDefaultReader<Uint8Array>
  writer: WritableStreamDefaultWriter<Uint8Array>
} {
  const { readable, writable } = openStream({ ...FIXED, suite, ...more })
  return { reader: readable.getReader(), writer: writable.getWriter() }
}

/** How many bytes a transform takes of an endless source without a reader. */
async function takenIn(transform: ReadableWritablePair<Uint8Array, Uint8Array>, source?: Uint8Array): Promise<number> {
  let taken = 0
  const endless = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        const slice = source?.slice(taken, taken + 512) ?? new Uint8Array(512)
        taken += 512
        controller.enqueue(slice)
      },
    },
    { highWaterMark: 0 },
  )
  const piped = endless.pipeThrough(transform)
  let quietTurns = 0
  while (quietTurns < 20) {
    const before = taken
    await new Promise(resolve => setImmediate(resolve))
    quietTurns = taken === before || taken > 1e7 ? quietTurns + 1 : 0
  }
  await piped.cancel()
  return taken
}

import { createHash } from 'node:crypto'

import * as fc from 'fast-check'
import { expect, test } from 'vitest'

import { concat } from '../../support/concat.ts'
import { fragmentedFilm } from '../../support/fragmented-film.ts'
import { cut, describe, rebuild, sourceOf } from '../../support/originals.ts'
import { content } from '../../support/sdk.ts'

const chunking = fc.array(fc.integer({ min: 1, max: 5000 }), { minLength: 1, maxLength: 5 })

/** Few beginnings and few lengths, so that samples repeat and begin like others. */
const sample = fc
  .record({ name: fc.integer({ min: 0, max: 3 }), length: fc.integer({ min: 0, max: 12 }) })
  .map(({ name, length }) => content(`sample ${name}`, length * length * 20))

const film = fc
  .array(fc.array(sample, { maxLength: 8 }), { maxLength: 4 })
  .map(fragments => ({ samples: fragments.flat(), bytes: fragmentedFilm(fragments.map(samples => ({ samples }))) }))

const pieces = fc.array(
  fc.oneof(
    fc.record({ sample: fc.nat() }),
    fc.uint8Array({ maxLength: 60 }).map(bytes => ({ literal: new Uint8Array(bytes) })),
    fc.record({ sample: fc.nat(), from: fc.nat(300), length: fc.nat(3000) }),
  ),
  { maxLength: 20 },
)

test('any file of samples, parts of them and other bytes is rebuilt exactly', async () => {
  await fc.assert(
    fc.asyncProperty(film, pieces, chunking, chunking, async ({ samples, bytes: film }, pieces, chunks, listChunks) => {
      const original = concat(
        pieces.map(piece => {
          if ('literal' in piece) return piece.literal
          const whole = samples[piece.sample % Math.max(1, samples.length)] ?? new Uint8Array(0)
          return 'from' in piece ? whole.subarray(piece.from, piece.from + piece.length) : whole
        }),
      )
      const { list } = await describe(sourceOf(original), cut(film, chunks))
      const rebuilt = rebuild(list, film, { bytes: original.byteLength, pieces: listChunks })
      expect(Buffer.compare(rebuilt.file, original)).toBe(0)
      expect(Buffer.compare(rebuilt.sha256, createHash('sha256').update(original).digest())).toBe(0)
    }),
    { numRuns: 60 },
  )
})

test('every sample is found, in whatever order, with whatever between them', async () => {
  const samples = Array.from({ length: 200 }, (_, place) => content(`sample ${place % 150}`, 500 + (place % 150)))
  const film = fragmentedFilm([{ samples: samples.slice(0, 90) }, { samples: samples.slice(90) }])
  const shuffled = samples.toSorted((a, b) => (a[0] ?? 0) - (b[0] ?? 0))
  const original = concat(shuffled.flatMap((sample, place) => [content(`header ${place}`, 9), sample]))
  const { list, literalShare } = await describe(sourceOf(original), cut(film, [777]))
  expect(literalShare).toBeCloseTo((200 * 9) / original.byteLength, 10)
  expect(list.byteLength).toBeLessThan(200 * 9 + 200 * 9)
})

test('samples of one size, and those that begin like longer ones, are found', async () => {
  const long = content('long', 4000)
  const uniform = Array.from({ length: 50 }, (_, place) => content(`uniform ${place}`, 320))
  const alike = [long, long.subarray(0, 100), long.subarray(0, 2000)]
  const film = fragmentedFilm([{ samples: uniform, uniform: true }, { samples: alike }])
  const original = concat([...alike.toReversed(), ...uniform])
  const { list, literalShare } = await describe(sourceOf(original), cut(film, [10_000]))
  expect(literalShare).toBe(0)
  expect(rebuild(list, film, { bytes: original.byteLength }).runs).toBe(4)
})

test('samples that follow each other in both are one run, also when they are all the same', async () => {
  const silence = content('silence', 200)
  const samples = Array.from({ length: 500 }, () => silence)
  const film = fragmentedFilm([{ samples }])
  const original = concat([content('header', 40), ...samples])
  const { list } = await describe(sourceOf(original), cut(film, [1000]))
  expect(rebuild(list, film, { bytes: original.byteLength }).runs).toBe(2)
})

test('a file that the film has nothing of is one literal after another', async () => {
  const original = content('something else', 300_000)
  const film = fragmentedFilm([{ samples: [content('sample', 5000)] }])
  const { list, literalShare } = await describe(sourceOf(original), cut(film, [1000]))
  expect(literalShare).toBe(1)
  expect(list.byteLength).toBeLessThan(300_100)
  expect(Buffer.compare(rebuild(list, film, { bytes: 300_000 }).file, original)).toBe(0)
})

test('a file that holds its samples many times is described in a way that readers take', async () => {
  const samples = [content('one', 3000), content('two', 2000)]
  const film = fragmentedFilm([{ samples }])
  const original = concat(Array.from({ length: 40 }, () => samples).flat())
  const { list } = await describe(sourceOf(original), cut(film, [777]))
  const { file } = rebuild(list, film, { bytes: original.byteLength })
  expect(Buffer.compare(file, original)).toBe(0)
  expect(list.byteLength).toBeLessThan(original.byteLength * 0.85)
})

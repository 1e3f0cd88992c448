import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { openBytes, openRange, openStream, readOpener, sealBytes } from '../../../src/sealing/index.ts'
import { nodeSuite as suite } from '../../../src/sealing/node-suite.ts'
import { isDamaged, joined, outcomeOf, patternBytes, sameBytes, streamOf } from '../../support/sealing.ts'

const OPENING = { suite, key: new Uint8Array(32).fill(3), role: 'media', chunkBytes: 1024 } as const
const PLAIN = patternBytes(5000)
const { sealed: SEALED, commit } = await sealBytes({ ...OPENING, plain: PLAIN, padded: false })

type Mutation = (sealed: Uint8Array) => Uint8Array

const place = fc.nat(SEALED.byteLength - 1)
const chunk = fc.nat(4)
const chunkAt = (index: number): Uint8Array => SEALED.subarray(Math.max(40, index * 1024), (index + 1) * 1024)
const rebuilt = (order: readonly number[]): Uint8Array => joined([SEALED.subarray(0, 40), ...order.map(chunkAt)])

const mutations: fc.Arbitrary<Mutation> = fc.oneof(
  fc.tuple(place, fc.integer({ min: 1, max: 255 })).map(([at, bits]) => (sealed: Uint8Array) => {
    const changed = sealed.slice()
    changed[at] = (changed[at] ?? 0) ^ bits
    return changed
  }),
  place.map(length => (sealed: Uint8Array) => sealed.subarray(0, length)),
  fc.tuple(place, fc.integer({ min: 1, max: 2000 })).map(
    ([at, length]) =>
      (sealed: Uint8Array) =>
        joined([sealed.subarray(0, at), sealed.subarray(at + length)]),
  ),
  fc.tuple(fc.nat(SEALED.byteLength), fc.uint8Array({ minLength: 1, maxLength: 2000 })).map(
    ([at, more]) =>
      (sealed: Uint8Array) =>
        joined([sealed.subarray(0, at), more, sealed.subarray(at)]),
  ),
  fc.array(chunk, { maxLength: 7 }).map(order => () => rebuilt(order)),
)

test('threat 9, threat 10, threat 11: any mutation at all is refused, however it is opened, and nothing false leaves', async () => {
  await fc.assert(
    fc.asyncProperty(mutations, fc.boolean(), async (mutate, lengthTold) => {
      const sealed = mutate(SEALED)
      fc.pre(!sameBytes(sealed, SEALED))
      const told = lengthTold ? SEALED.byteLength : undefined
      const read = (start: number, end: number): Uint8Array => sealed.subarray(start, end)
      const openWhole = async function* (): AsyncGenerator<Uint8Array> {
        yield await openBytes({ ...OPENING, commit, sealed, sealedBytes: told })
      }
      const openAsRange = async function* (): AsyncGenerator<Uint8Array> {
        const opener = await readOpener({ ...OPENING, commit, read })
        yield* openRange({ opener, read, range: { start: 0, end: told === undefined ? 1e6 : 5000 }, sealedBytes: told })
      }
      const outcomes = await Promise.all([
        outcomeOf(openWhole),
        outcomeOf(() => streamOf(sealed).pipeThrough(openStream({ ...OPENING, commit, sealedBytes: told }))),
        // A range asks for just its bytes: what is appended behind them it never sees.
        ...(sealed.byteLength > SEALED.byteLength && told !== undefined ? [] : [outcomeOf(openAsRange)]),
      ])
      for (const { bytes, error } of outcomes) {
        expect(isDamaged(error)).toBe(true)
        expect(sameBytes(bytes, PLAIN.slice(0, bytes.byteLength))).toBe(true)
      }
    }),
    { numRuns: 400 },
  )
})

import { describe, expect, test } from 'vitest'
import { createOpener, createSealer, webSuite } from '../../../src/sealing/index.ts'
import type { CryptoSuite, Sealer } from '../../../src/sealing/index.ts'
import { nodeSuite } from '../../../src/sealing/node-suite.ts'
import { patternBytes } from '../../support/sealing.ts'

const KEY = new Uint8Array(32).fill(9)
const newSealer = (suite: CryptoSuite): Promise<Sealer> =>
  createSealer({ suite, key: KEY, role: 'media', chunkBytes: 1024 })
/** Throwing at once and rejecting later are both a refusal. */
const seal = async (sealer: Sealer, index: number, plain: Uint8Array, last: boolean): Promise<Uint8Array> =>
  sealer.sealChunk(index, plain, last)

describe.each([
  ['web suite', webSuite],
  ['node suite', nodeSuite],
])('a sealer, %s', (_, suite) => {
  const full = (index: number, fill = 1): Uint8Array => new Uint8Array(index === 0 ? 968 : 1008).fill(fill)

  test('seals chunks in any order and in parallel', async () => {
    const sealer = await newSealer(suite)
    const order = [3, 0, 2, 1]
    const sealed = await Promise.all(order.map(index => seal(sealer, index, full(index, index), index === 3)))
    const opener = await createOpener({ suite, key: KEY, role: 'media', chunkBytes: 1024, header: sealer.header })
    for (const [at, index] of order.entries()) {
      expect(await opener.openChunk(index, sealed[at] ?? new Uint8Array(), index === 3)).toEqual(full(index, index))
    }
  })

  test('seals the same bytes again to the same response: a retry is safe', async () => {
    const sealer = await newSealer(suite)
    expect(await seal(sealer, 5, full(5), false)).toEqual(await seal(sealer, 5, full(5), false))
  })

  test('never seals other bytes under one index, and lets nothing of them out', async () => {
    const sealer = await newSealer(suite)
    await seal(sealer, 2, full(2, 1), false)
    await expect(seal(sealer, 2, full(2, 2), false)).rejects.toMatchObject({ code: 'source_changed' })
    await expect(seal(sealer, 2, full(2, 1), false)).resolves.toHaveLength(1024)
  })

  test('of two parallel sealings of one index with other bytes, one is refused', async () => {
    const sealer = await newSealer(suite)
    const both = await Promise.allSettled([seal(sealer, 1, full(1, 1), false), seal(sealer, 1, full(1, 2), false)])
    // Whichever is hashed first.
    expect(both.map(each => each.status).toSorted()).toEqual(['fulfilled', 'rejected'])
  })

  test('ends once: no chunk behind the last, no other last', async () => {
    const sealer = await newSealer(suite)
    await seal(sealer, 4, patternBytes(10), true)
    await expect(seal(sealer, 4, patternBytes(10), true)).resolves.toHaveLength(26)
    await expect(seal(sealer, 4, patternBytes(11), true)).rejects.toMatchObject({ code: 'source_changed' })
    await expect(seal(sealer, 4, full(4), false)).rejects.toMatchObject({ code: 'source_changed' })
    await expect(seal(sealer, 5, full(5), false)).rejects.toMatchObject({ code: 'source_changed' })
    await expect(seal(sealer, 3, patternBytes(10), true)).rejects.toMatchObject({ code: 'source_changed' })
    await expect(seal(sealer, 3, full(3), false)).resolves.toHaveLength(1024)
  })

  test('a chunk sealed as one of many never becomes the last', async () => {
    const sealer = await newSealer(suite)
    await seal(sealer, 1, full(1), false)
    await expect(seal(sealer, 1, full(1), true)).rejects.toMatchObject({ code: 'source_changed' })
    await expect(seal(sealer, 0, full(0), true)).rejects.toMatchObject({ code: 'source_changed' })
  })

  test('takes only full chunks, and a shorter one as the last', async () => {
    const sealer = await newSealer(suite)
    const refused: (readonly [number, number, boolean])[] = [
      [0, 967, false],
      [0, 969, true],
      [1, 1009, true],
      [1, 968, false],
      [1, 0, true],
      [0, 0, false],
      [-1, 1008, false],
      [2 ** 32, 1008, false],
      [0.5, 1008, false],
    ]
    for (const [index, length, last] of refused) {
      await expect(seal(sealer, index, new Uint8Array(length), last)).rejects.toMatchObject({
        code: 'invalid_argument',
      })
    }
    await expect(seal(sealer, 2 ** 32 - 1, new Uint8Array(1), true)).resolves.toHaveLength(17)
  })

  test('salt and prefix are random unless given, and given again they make the same header', async () => {
    const [first, second] = await Promise.all([newSealer(suite), newSealer(suite)])
    expect(first.header).not.toEqual(second.header)
    expect(first.commit).not.toEqual(second.commit)
    const salt = first.header.slice(1, 33)
    const again = await createSealer({
      suite,
      key: KEY,
      role: 'media',
      chunkBytes: 1024,
      salt,
      noncePrefix: first.header.slice(33),
    })
    expect(again.header).toEqual(first.header)
    expect(again.commit).toEqual(first.commit)
  })

  test('is not made from parts of the wrong shape', async () => {
    const right = { suite, key: KEY, role: 'media', chunkBytes: 1024 } as const
    const wrong = [
      { key: new Uint8Array(31) },
      { key: new Uint8Array(33) },
      { role: 'other' as 'media' },
      { chunkBytes: 100 },
      { chunkBytes: 2 ** 30 },
      { salt: new Uint8Array(32) },
      { noncePrefix: new Uint8Array(7) },
      { salt: new Uint8Array(31), noncePrefix: new Uint8Array(7) },
      { salt: new Uint8Array(32), noncePrefix: new Uint8Array(8) },
    ]
    for (const part of wrong) {
      await expect(createSealer({ ...right, ...part })).rejects.toMatchObject({ code: 'invalid_argument' })
    }
  })
})

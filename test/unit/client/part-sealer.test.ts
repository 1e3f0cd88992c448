import * as fc from 'fast-check'
import { expect, test } from 'vitest'

import { PartSealer } from '../../../src/client/send/part-sealer.ts'
import { createSealer, openBytes, webSuite } from '../../../src/sealing/index.ts'
import { nodeSuite } from '../../../src/sealing/node-suite.ts'

const CHUNK_BYTES = 1024

test.each([
  ['node', nodeSuite],
  ['web', webSuite],
])('parts, one behind the other, are one sealed media (%s suite)', async (_, suite) => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 0, max: 12_000 }),
      fc.integer({ min: 1, max: 4 }),
      async (size, chunksPerPart) => {
        const key = suite.randomBytes(32)
        const plain = suite.randomBytes(size)
        const sealer = await createSealer({ suite, key, role: 'media', chunkBytes: CHUNK_BYTES })
        const partBytes = chunksPerPart * CHUNK_BYTES
        const parts = new PartSealer(sealer, partBytes)
        const sealed: Uint8Array[] = []
        for (let index = 0, at = 0; index === 0 || at < size; index += 1) {
          const piece = plain.subarray(at, at + parts.plainBytes(index))
          at += piece.byteLength
          const buffer = suite.randomBytes(partBytes)
          parts.plainRoom(index, buffer).set(piece)
          const part = await parts.seal(index, buffer, { bytes: piece.byteLength, last: at === size })
          sealed.push(part)
          expect(at === size || part.byteLength === partBytes).toBe(true)
        }
        const opened = await openBytes({
          suite,
          key,
          role: 'media',
          chunkBytes: CHUNK_BYTES,
          commit: sealer.commit,
          sealed: Buffer.concat(sealed),
        })
        expect(Buffer.from(opened).equals(plain)).toBe(true)
      },
    ),
    { numRuns: 40 },
  )
})

test('a part is never sealed twice with different bytes', async () => {
  const sealer = await createSealer({
    suite: nodeSuite,
    key: new Uint8Array(32),
    role: 'media',
    chunkBytes: CHUNK_BYTES,
  })
  const parts = new PartSealer(sealer, CHUNK_BYTES)
  const plain = nodeSuite.randomBytes(parts.plainBytes(0))
  const sealAgain = async (): Promise<Uint8Array> => {
    const buffer = new Uint8Array(CHUNK_BYTES)
    parts.plainRoom(0, buffer).set(plain)
    return parts.seal(0, buffer, { bytes: plain.byteLength, last: false })
  }
  const first = await sealAgain()
  expect(await sealAgain()).toEqual(first)
  plain[0] = (plain[0] ?? 0) ^ 1
  await expect(sealAgain()).rejects.toMatchObject({ code: 'file_changed' })
})

import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createSealer, sealBytes, webSuite } from '../../../src/sealing/index.ts'
import { nodeSuite } from '../../../src/sealing/node-suite.ts'
import { fromHex, toHex } from '../../support/sealing.ts'

const bytes = (length: number): fc.Arbitrary<Uint8Array> => fc.uint8Array({ minLength: length, maxLength: length })

test('both suites seal the same bytes from the same key, salt and prefix', async () => {
  const media = fc.record({
    key: bytes(32),
    salt: bytes(32),
    noncePrefix: bytes(7),
    plain: fc.uint8Array({ maxLength: 5000 }),
    chunkBytes: fc.integer({ min: 1024, max: 2048 }),
  })
  await fc.assert(
    fc.asyncProperty(media, async options => {
      const [web, node] = await Promise.all(
        [webSuite, nodeSuite].map(suite => sealBytes({ ...options, suite, role: 'media' })),
      )
      expect(node).toEqual(web)
    }),
  )
})

describe.each([
  ['web suite', webSuite],
  ['node suite', nodeSuite],
])('%s', (_, suite) => {
  test('derives as RFC 5869 says (test case 1)', async () => {
    const key = fromHex('0b'.repeat(22))
    const derived = await suite.hkdfSha256(
      key,
      fromHex('000102030405060708090a0b0c'),
      fromHex('f0f1f2f3f4f5f6f7f8f9'),
      42,
    )
    expect(toHex(derived)).toBe('3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865')
  })

  test('hashes piece by piece as FIPS 180-4 says', () => {
    const hash = suite.sha256()
    for (const letter of 'abc') hash.update(new TextEncoder().encode(letter))
    expect(toHex(hash.digest())).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad')
  })

  test('random bytes are as many as asked for, and new each time', () => {
    expect(suite.randomBytes(32)).toHaveLength(32)
    expect(suite.randomBytes(32)).not.toEqual(suite.randomBytes(32))
  })

  test('reads its input before it returns: the caller may use its buffer again at once', async () => {
    const sealer = await createSealer({ suite, key: new Uint8Array(32), role: 'media', chunkBytes: 1024 })
    const plain = new Uint8Array(968).fill(1)
    const sealing = sealer.sealChunk(0, plain, false)
    plain.fill(2)
    const sealed = await sealing
    plain.fill(1)
    expect(await sealer.sealChunk(0, plain, false)).toEqual(sealed)
  })

  test('keeps no hold of the key: the caller may wipe its own', async () => {
    const key = suite.randomBytes(32)
    const aead = await suite.aesGcm(key)
    const before = await aead.seal(new Uint8Array(12), new Uint8Array(5))
    key.fill(0)
    expect(await aead.seal(new Uint8Array(12), new Uint8Array(5))).toEqual(before)
  })

  test('takes bytes that lie in shared memory', async () => {
    const shared = new Uint8Array(new SharedArrayBuffer(100)).fill(7)
    const options = {
      suite,
      key: new Uint8Array(32),
      role: 'media',
      salt: new Uint8Array(32),
      noncePrefix: new Uint8Array(7),
    } as const
    expect(await sealBytes({ ...options, plain: shared })).toEqual(
      await sealBytes({ ...options, plain: shared.slice() }),
    )
  })

  test('hands out memory of its own: nothing else lies in the buffer', async () => {
    const aead = await suite.aesGcm(new Uint8Array(32))
    const sealed = await aead.seal(new Uint8Array(12), new Uint8Array(10))
    const opened = await aead.open(new Uint8Array(12), sealed)
    for (const made of [sealed, opened, suite.randomBytes(8), suite.sha256().digest()]) {
      expect(made.constructor).toBe(Uint8Array)
      expect(made.buffer.byteLength).toBe(made.byteLength)
    }
  })
})

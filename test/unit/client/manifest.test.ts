import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import { openManifest, parseManifest, sealManifest } from '../../../src/client/manifest/manifest-codec.ts'
import { isSealiftError } from '../../../src/protocol/errors.ts'
import { nodeSuite as suite } from '../../../src/sealing/node-suite.ts'

const B32 = 'A'.repeat(43)
const KEY = suite.randomBytes(32)

const ITEM = {
  name: 'a.txt',
  type: 'text/plain',
  bytes: 5,
  media: 'abcdefghijklmnopqrstuvwxyz',
  key: B32,
  chunkBytes: 262_144,
  sealedBytes: 597,
  sha256: B32,
  commit: B32,
  state: 'complete',
} as const
const MANIFEST = { v: 1, createdAt: '2026-11-22T00:00:00.000Z', items: [ITEM] } as const

describe('a manifest', () => {
  test('comes out as it went in, unknown fields too', async () => {
    const manifest = { ...MANIFEST, note: { deep: [1] }, items: [{ ...ITEM, extra: 'kept' }] }
    const sealed = await sealManifest(parseManifest(manifest), { suite, key: KEY })
    expect(await openManifest(sealed, { suite, key: KEY })).toEqual(manifest)
  })

  test('is padded, so that its size reveals no name', async () => {
    const short = await sealManifest(parseManifest(MANIFEST), { suite, key: KEY })
    const longer = { ...MANIFEST, items: [{ ...ITEM, name: 'a slightly longer name.txt' }] }
    const long = await sealManifest(parseManifest(longer), { suite, key: KEY })
    expect(long.byteLength).toBe(short.byteLength)
  })

  test('does not open with another key, nor with one bit changed', async () => {
    const sealed = await sealManifest(parseManifest(MANIFEST), { suite, key: KEY })
    await expect(openManifest(sealed, { suite, key: suite.randomBytes(32) })).rejects.toMatchObject({
      code: 'damaged_media',
    })
    await fc.assert(
      fc.asyncProperty(fc.nat(sealed.byteLength * 8 - 1), async bit => {
        const altered = sealed.slice()
        altered[bit >> 3] = (altered[bit >> 3] ?? 0) ^ (1 << (bit & 7))
        await expect(openManifest(altered, { suite, key: KEY })).rejects.toMatchObject({ code: 'damaged_media' })
      }),
      { numRuns: 50 },
    )
  })

  test('of a newer version is refused as such, whatever else is in it', () => {
    expect(() => parseManifest({ v: 2, anything: true })).toThrow(
      expect.objectContaining({ code: 'unsupported_version' }),
    )
  })

  // threat 19: a field that makes the receiver allocate
  test.each([
    ['a chunk size that would fill the memory', { chunkBytes: 2 ** 31 }],
    ['a tiny chunk size', { chunkBytes: 1 }],
    ['no chunk size', { chunkBytes: undefined }],
    ['a negative length', { bytes: -1 }],
    ['a length beyond exact numbers', { bytes: 2 ** 60 }],
    ['a broken length', { sealedBytes: 1.5 }],
    ['a length as text', { bytes: '5' }],
    ['a short key', { key: 'AAAA' }],
    ['a long key', { key: `${B32}A` }],
    ['a key that is none', { key: `${'A'.repeat(42)}/` }],
    ['a media id that walks', { media: '../../admin/aaaaaaaaaaaaaa' }],
    ['a name of no length', { name: '' }],
    ['an endless name', { name: 'x'.repeat(4097) }],
    ['an unknown state', { state: 'done' }],
    ['an absurd preview', { preview: { thumbHash: 'x'.repeat(129) } }],
    ['a thumbnail without key', { thumbnail: { media: ITEM.media } }],
  ])('with %s is refused', (_, change) => {
    const manifest = { ...MANIFEST, items: [{ ...ITEM, ...change }] }
    expect(() => parseManifest(manifest)).toThrow(expect.objectContaining({ code: 'invalid_manifest' }))
  })

  test('with too many items is refused', () => {
    const items = Array.from({ length: 20_001 }, () => ITEM)
    expect(() => parseManifest({ ...MANIFEST, items })).toThrow(expect.objectContaining({ code: 'invalid_manifest' }))
  })

  test('that is refused is not repeated by the error', () => {
    let told = ''
    try {
      parseManifest({ ...MANIFEST, items: [{ ...ITEM, name: 'a secret name', key: 'a secret key' }] })
    } catch (error) {
      told = JSON.stringify([error, String(error)])
    }
    expect(told).toContain('invalid_manifest')
    expect(told).not.toContain('secret')
  })

  test('never breaks the reader, whatever its sender wrote', () => {
    fc.assert(
      fc.property(fc.jsonValue(), value => {
        expect(['read', 'invalid_manifest', 'unsupported_version']).toContain(outcomeOf(value))
      }),
    )
  })
})

function outcomeOf(value: unknown): string {
  try {
    parseManifest(value)
    return 'read'
  } catch (error) {
    return isSealiftError(error) ? error.code : String(error)
  }
}

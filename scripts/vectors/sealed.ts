import { commitOf, counting, derivedKeyOf, headerOf, nonceOf, patternBytes, seal, sha256 } from './reference.ts'
import type { Media } from './reference.ts'

/** Fixed and easy to recognise in a dump; a real key, salt and prefix are random. */
export function fixedMedia(chunkBytes: number, role = 'media'): Media {
  return { key: counting(32), role, chunkBytes, salt: counting(32, 0x40), noncePrefix: counting(7, 0xa0) }
}

/** Longer sealed bytes are given by their SHA-256 only. */
const MAX_WRITTEN_BYTES = 16_384

export function sealedVectors(): object[] {
  const small = [0, 1, 2, 541, 967, 968, 969, 1975, 1976, 1977, 2984, 2985, 4000]
  const sizes: (readonly [number, readonly number[], string])[] = [
    [1024, small, 'media'],
    [1024, [3000], 'manifest'],
    [1024, [600], 'thumbnail'],
    [1500, [1443, 1444, 1445, 5000], 'media'],
    [4096, [4040, 4041, 8120, 8121], 'media'],
    [65_536, [100_000], 'media'],
    [262_144, [262_088, 262_089, 524_216, 524_217], 'media'],
    [4_194_304, [1, 5_000_000], 'media'],
  ]
  return sizes.flatMap(([chunkBytes, lengths, role]) =>
    lengths.map(plainBytes => sealedVector(fixedMedia(chunkBytes, role), plainBytes)),
  )
}

function sealedVector(media: Media, plainBytes: number): object {
  const plain = patternBytes(plainBytes)
  const sealed = seal(media, plain)
  const chunks = Math.max(1, Math.ceil(sealed.length / media.chunkBytes))
  return {
    name: `${media.role}, ${plainBytes} bytes in chunks of ${media.chunkBytes}`,
    role: media.role,
    chunkBytes: media.chunkBytes,
    key: media.key.toString('hex'),
    salt: media.salt.toString('hex'),
    noncePrefix: media.noncePrefix.toString('hex'),
    plainBytes,
    plainSha256: sha256(plain).toString('hex'),
    header: headerOf(media).toString('hex'),
    derivedKey: derivedKeyOf(media).toString('hex'),
    firstNonce: nonceOf(media, 0, chunks === 1).toString('hex'),
    lastNonce: nonceOf(media, chunks - 1, true).toString('hex'),
    commit: commitOf(media).toString('hex'),
    chunks,
    sealedBytes: sealed.length,
    sealedSha256: sha256(sealed).toString('hex'),
    ...(sealed.length <= MAX_WRITTEN_BYTES ? { sealed: sealed.toString('base64') } : {}),
  }
}

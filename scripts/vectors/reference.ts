/**
 * The sealed format a second time, straight from `docs/format.md` and on node:crypto alone: what makes the vectors
 * shares no line with what they test. It also seals what an honest sender never would.
 */
import { createCipheriv, createHash, hkdfSync } from 'node:crypto'

export interface Media {
  readonly key: Buffer
  readonly role: string
  readonly chunkBytes: number
  readonly salt: Buffer
  readonly noncePrefix: Buffer
}

/** Bytes counted up from `first`: 00 01 02 … */
export function counting(length: number, first = 0): Buffer {
  return Buffer.from(Array.from({ length }, (_, index) => (first + index) & 255))
}

/** The plaintext of every vector: byte i is (7 i + 13 floor(i / 256)) mod 256. */
export function patternBytes(length: number): Buffer {
  const bytes = Buffer.alloc(length)
  for (let index = 0; index < length; index++) bytes[index] = (7 * index + 13 * Math.floor(index / 256)) % 256
  return bytes
}

export function hkdf(key: Buffer, salt: Buffer, info: string): Buffer {
  return Buffer.from(hkdfSync('sha256', key, salt, Buffer.from(info, 'utf8'), 32))
}

export function derivedKeyOf(media: Media): Buffer {
  return hkdf(media.key, media.salt, `sealift/1/${media.role}`)
}

export function commitOf(media: Pick<Media, 'key' | 'salt'>): Buffer {
  return hkdf(media.key, media.salt, 'sealift/1/commit')
}

export function headerOf(media: Media): Buffer {
  return Buffer.concat([Buffer.from([0x28]), media.salt, media.noncePrefix])
}

export function nonceOf(media: Media, index: number, last: boolean): Buffer {
  const counter = Buffer.alloc(4)
  counter.writeUInt32BE(index)
  return Buffer.concat([media.noncePrefix, counter, Buffer.from([last ? 1 : 0])])
}

/** Any bytes as any chunk, last or not. */
export function sealChunk(media: Media, index: number, last: boolean, plain: Buffer): Buffer {
  const cipher = createCipheriv('aes-256-gcm', derivedKeyOf(media), nonceOf(media, index, last))
  return Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()])
}

/** The plaintext cut as the format cuts it. */
export function cut(plain: Buffer, chunkBytes: number): Buffer[] {
  const pieces = [plain.subarray(0, chunkBytes - 56)]
  for (let at = chunkBytes - 56; at < plain.length; at += chunkBytes - 16) {
    pieces.push(plain.subarray(at, at + chunkBytes - 16))
  }
  return pieces
}

/** The sealed chunks, header not included. */
export function sealChunks(media: Media, plain: Buffer): Buffer[] {
  const pieces = cut(plain, media.chunkBytes)
  return pieces.map((piece, index) => sealChunk(media, index, index === pieces.length - 1, piece))
}

export function seal(media: Media, plain: Buffer): Buffer {
  return Buffer.concat([headerOf(media), ...sealChunks(media, plain)])
}

export function sha256(bytes: Buffer): Buffer {
  return createHash('sha256').update(bytes).digest()
}

import { DEFAULT_CHUNK_BYTES, HEADER_BYTES } from './constants.ts'
import { damaged } from './sealing-error.ts'
import { chunkCount, plainRangeOfChunk, sealedChunkCount, sealedLength, sealedRangeOfChunk } from './layout.ts'
import { createOpener } from './opener.ts'
import type { OpeningKey } from './opener.ts'
import { paddedLength, Trimmer } from './padding.ts'
import { createSealer } from './sealer.ts'
import type { SealerOptions } from './sealer.ts'
import type { Bytes } from './suite.ts'

/** Plaintext to seal at once, and how. */
export interface SealBytesOptions extends Omit<SealerOptions, 'chunkBytes'> {
  readonly plain: Uint8Array
  /** Whether zeros are appended up to `paddedLength`; true unless said otherwise. */
  readonly padded?: boolean | undefined
  /** 256 KiB unless said otherwise. */
  readonly chunkBytes?: number | undefined
}

/** What `sealBytes` returns. */
export interface SealedBytes {
  /** Header and ciphertext. */
  readonly sealed: Bytes
  /** The 32-byte key commitment. */
  readonly commit: Bytes
}

/** Seals something small that is in memory as a whole: a manifest, a thumbnail. Throws as `createSealer`. */
export async function sealBytes(options: SealBytesOptions): Promise<SealedBytes> {
  const { chunkBytes = DEFAULT_CHUNK_BYTES, padded = true } = options
  const plain = padded ? withPadding(options.plain) : options.plain
  const sealer = await createSealer({ ...options, chunkBytes })
  const count = chunkCount(plain.byteLength, chunkBytes)
  const sealed = new Uint8Array(sealedLength(plain.byteLength, chunkBytes))
  sealed.set(sealer.header)
  for (let index = 0; index < count; index++) {
    const { start, end } = plainRangeOfChunk(index, plain.byteLength, chunkBytes)
    const chunk = await sealer.sealChunk(index, plain.subarray(start, end), index === count - 1)
    sealed.set(chunk, sealedRangeOfChunk(index, sealed.byteLength, chunkBytes).start)
  }
  return { sealed, commit: sealer.commit }
}

/** Sealed bytes to open at once, and what the manifest says of them. */
export interface OpenBytesOptions extends Omit<OpeningKey, 'chunkBytes'> {
  /** Header and ciphertext. */
  readonly sealed: Uint8Array
  /** 256 KiB unless said otherwise. */
  readonly chunkBytes?: number | undefined
  /** The length of `sealed` in the manifest: another length is refused. */
  readonly sealedBytes?: number | undefined
  /** The true length: what is behind it must be zeros and is left out. Without it the padding stays on. */
  readonly plainBytes?: number | undefined
}

/**
 * Opens something small at once. The result is authenticated from beginning to end.
 * @throws {SealingError} `damaged` for anything forged, cut or sealed with another key
 */
export async function openBytes(options: OpenBytesOptions): Promise<Bytes> {
  const { sealed, chunkBytes = DEFAULT_CHUNK_BYTES } = options
  if (sealed.byteLength !== (options.sealedBytes ?? sealed.byteLength)) throw damaged()
  const count = sealedChunkCount(sealed.byteLength, chunkBytes)
  const opener = await createOpener({ ...options, chunkBytes, header: sealed.subarray(0, HEADER_BYTES) })
  const plain = new Uint8Array(sealed.byteLength)
  let length = 0
  for (let index = 0; index < count; index++) {
    const { start, end } = sealedRangeOfChunk(index, sealed.byteLength, chunkBytes)
    const chunk = await opener.openChunk(index, sealed.subarray(start, end), index === count - 1)
    plain.set(chunk, length)
    length += chunk.byteLength
  }
  return trimmed(plain.subarray(0, length), options.plainBytes)
}

/** The bytes without the zeros they end in: takes the padding off a text whose length was not written down. */
export function withoutTrailingZeros(bytes: Bytes): Bytes {
  let length = bytes.byteLength
  while (length > 0 && bytes[length - 1] === 0) length--
  return bytes.subarray(0, length)
}

function trimmed(plain: Bytes, plainBytes: number | undefined): Bytes {
  if (plainBytes === undefined) return plain
  if (plainBytes > plain.byteLength) throw damaged()
  return new Trimmer(plainBytes).trim(plain)
}

function withPadding(plain: Uint8Array): Bytes {
  const padded = new Uint8Array(paddedLength(plain.byteLength))
  padded.set(plain)
  return padded
}

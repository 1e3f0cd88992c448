import { HEADER_BYTES, MAX_CHUNKS, MAX_CHUNK_BYTES, MIN_CHUNK_BYTES, TAG_BYTES } from './constants.ts'
import { damaged, invalidArgument, SealingError } from './sealing-error.ts'

/*
 * The header shifts everything by 40 bytes, and nothing else is irregular: plaintext byte p lies at p + 40 of an
 * endless row of slots of (chunkBytes - 16) bytes, and slot i is sealed into [i * chunkBytes, (i + 1) * chunkBytes).
 */

/** Bytes from `start` up to but not including `end`. */
export interface ByteRange {
  readonly start: number
  readonly end: number
}

/** The sealed bytes to fetch, and which chunks (both ends included) they are. */
export interface SealedRange extends ByteRange {
  readonly firstChunk: number
  readonly lastChunk: number
}

/** @throws {SealingError} `invalid_argument` unless a whole number of bytes from 1 KiB to 4 MiB. */
export function assertChunkBytes(chunkBytes: number): void {
  if (Number.isInteger(chunkBytes) && chunkBytes >= MIN_CHUNK_BYTES && chunkBytes <= MAX_CHUNK_BYTES) return
  throw invalidArgument(`A chunk must have ${MIN_CHUNK_BYTES} to ${MAX_CHUNK_BYTES} bytes`)
}

/** @throws {SealingError} `invalid_argument` unless a chunk index: a whole number below 2^32. */
export function assertChunkIndex(index: number): void {
  if (Number.isInteger(index) && index >= 0 && index < MAX_CHUNKS) return
  throw invalidArgument('A chunk index must be a whole number below 2^32')
}

/** Most plaintext bytes that chunk `index` can hold: the first one holds 40 fewer than the others. */
export function plainCapacity(index: number, chunkBytes: number): number {
  return chunkBytes - TAG_BYTES - (index === 0 ? HEADER_BYTES : 0)
}

/** Most plaintext bytes that one key seals: 2^32 chunks, and never beyond exact arithmetic. */
export function maxPlainBytes(chunkBytes: number): number {
  assertChunkBytes(chunkBytes)
  const byIndex = MAX_CHUNKS * (chunkBytes - TAG_BYTES) - HEADER_BYTES
  const bySealedLength = Number.MAX_SAFE_INTEGER - MAX_CHUNKS * TAG_BYTES - HEADER_BYTES
  return Math.min(byIndex, bySealedLength)
}

/**
 * How many chunks seal `plainBytes` of plaintext: at least one, for the last chunk carries the end mark.
 * @throws {SealingError} `too_long` beyond `maxPlainBytes`; `invalid_argument` for what is no length
 */
export function chunkCount(plainBytes: number, chunkBytes: number): number {
  assertPlainBytes(plainBytes, chunkBytes)
  return Math.max(1, Math.ceil((plainBytes + HEADER_BYTES) / (chunkBytes - TAG_BYTES)))
}

/** Bytes of header and ciphertext that `plainBytes` of plaintext become. Throws as `chunkCount` does. */
export function sealedLength(plainBytes: number, chunkBytes: number): number {
  return plainBytes + HEADER_BYTES + TAG_BYTES * chunkCount(plainBytes, chunkBytes)
}

/**
 * Plaintext bytes inside `sealedBytes` of header and ciphertext: the inverse of `sealedLength`.
 * @throws {SealingError} `damaged` for a length that no plaintext seals to
 */
export function plainLength(sealedBytes: number, chunkBytes: number): number {
  const count = sealedChunkCount(sealedBytes, chunkBytes)
  return sealedBytes - HEADER_BYTES - TAG_BYTES * count
}

/** How many chunks `sealedBytes` of header and ciphertext are. Throws as `plainLength` does. */
export function sealedChunkCount(sealedBytes: number, chunkBytes: number): number {
  assertChunkBytes(chunkBytes)
  if (!Number.isSafeInteger(sealedBytes) || sealedBytes < HEADER_BYTES + TAG_BYTES) throw damaged()
  const count = Math.ceil(sealedBytes / chunkBytes)
  const lastBytes = sealedBytes - (count - 1) * chunkBytes
  // Only the first chunk may be empty: an empty one behind others is a second way to write the same plaintext.
  if (count > 1 && lastBytes <= TAG_BYTES) throw damaged()
  if (sealedBytes - HEADER_BYTES - TAG_BYTES * count > maxPlainBytes(chunkBytes)) throw damaged()
  return count
}

/** The plaintext that chunk `index` holds, when the plaintext has `plainBytes` in all. */
export function plainRangeOfChunk(index: number, plainBytes: number, chunkBytes: number): ByteRange {
  assertChunkIndex(index)
  if (index >= chunkCount(plainBytes, chunkBytes)) throw invalidArgument('There is no such chunk')
  return { start: chunkStart(index, chunkBytes), end: Math.min(plainBytes, chunkStart(index + 1, chunkBytes)) }
}

/** Where chunk `index` lies in `sealedBytes` of header and ciphertext; the first one begins behind the header. */
export function sealedRangeOfChunk(index: number, sealedBytes: number, chunkBytes: number): ByteRange {
  assertChunkIndex(index)
  if (index >= sealedChunkCount(sealedBytes, chunkBytes)) throw invalidArgument('There is no such chunk')
  return sealedSpan(index, index, sealedBytes, chunkBytes)
}

/** The plaintext position at which chunk `index` begins. */
export function chunkStart(index: number, chunkBytes: number): number {
  return Math.max(0, index * (chunkBytes - TAG_BYTES) - HEADER_BYTES)
}

/** The chunk that holds plaintext byte `position`. */
export function chunkOfPlain(position: number, chunkBytes: number): number {
  return Math.floor((position + HEADER_BYTES) / (chunkBytes - TAG_BYTES))
}

/**
 * The sealed bytes that cover a plaintext range, and no more; an empty range is covered by the chunk it lies in.
 * @param sealedBytes the whole length of header and ciphertext; `undefined` while it is unknown
 * @throws {SealingError} `invalid_argument` when the range lies outside the plaintext; `damaged` as `plainLength`
 */
export function sealedRangeFor(plain: ByteRange, sealedBytes: number | undefined, chunkBytes: number): SealedRange {
  assertChunkBytes(chunkBytes)
  const total = sealedBytes === undefined ? maxPlainBytes(chunkBytes) : plainLength(sealedBytes, chunkBytes)
  assertRange(plain, total)
  const finalChunk = chunkCount(total, chunkBytes) - 1
  const firstChunk = Math.min(finalChunk, chunkOfPlain(plain.start, chunkBytes))
  const lastChunk = Math.max(firstChunk, chunkOfPlain(plain.end - 1, chunkBytes))
  return { ...sealedSpan(firstChunk, lastChunk, sealedBytes ?? Infinity, chunkBytes), firstChunk, lastChunk }
}

function sealedSpan(firstChunk: number, lastChunk: number, sealedBytes: number, chunkBytes: number): ByteRange {
  return {
    start: firstChunk === 0 ? HEADER_BYTES : firstChunk * chunkBytes,
    end: Math.min(sealedBytes, (lastChunk + 1) * chunkBytes),
  }
}

function assertRange({ start, end }: ByteRange, total: number): void {
  const whole = Number.isSafeInteger(start) && Number.isSafeInteger(end)
  if (whole && start >= 0 && start <= end && end <= total) return
  throw invalidArgument('The range lies outside the plaintext')
}

function assertPlainBytes(plainBytes: number, chunkBytes: number): void {
  if (!Number.isSafeInteger(plainBytes) || plainBytes < 0) throw invalidArgument('A length must be a whole number')
  if (plainBytes > maxPlainBytes(chunkBytes)) throw new SealingError('too_long', 'One key cannot seal that much')
}

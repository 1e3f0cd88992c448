/** The sealed format, version 1: see `docs/format.md`. Runs wherever Web Streams and a `CryptoSuite` do. */
export {
  COMMIT_BYTES,
  DEFAULT_CHUNK_BYTES,
  HEADER_BYTES,
  KEY_BYTES,
  MAX_CHUNKS,
  MAX_CHUNK_BYTES,
  MIN_CHUNK_BYTES,
  NONCE_PREFIX_BYTES,
  SALT_BYTES,
  TAG_BYTES,
} from './constants.ts'
export type { Role } from './constants.ts'
export { isSealingError, SealingError } from './sealing-error.ts'
export type { SealingErrorCode } from './sealing-error.ts'
export type { Aead, Awaitable, Bytes, CryptoSuite, IncrementalHash } from './suite.ts'
export { webSuite } from './web-suite.ts'

export {
  chunkCount,
  chunkOfPlain,
  maxPlainBytes,
  plainCapacity,
  plainLength,
  plainRangeOfChunk,
  sealedChunkCount,
  sealedLength,
  sealedRangeFor,
  sealedRangeOfChunk,
} from './layout.ts'
export type { ByteRange, SealedRange } from './layout.ts'
export { MIN_PADDED_BYTES, paddedLength } from './padding.ts'

export { createSealer } from './sealer.ts'
export type { Sealer, SealerOptions } from './sealer.ts'
export { createOpener } from './opener.ts'
export type { Opener, OpenerOptions, OpeningKey } from './opener.ts'

export { padStream } from './padding.ts'
export type { PadStream } from './padding.ts'
export { sealStream } from './streams.ts'
export { openStream } from './streams.ts'
export type { OpenStreamOptions } from './streams.ts'

export type { ByteSource, ReadSealed } from './sealed-source.ts'
export { provePlainLength, readOpener } from './sealed-source.ts'
export type { SealedSource } from './sealed-source.ts'
export { openRange } from './open-range.ts'
export type { OpenRangeOptions } from './open-range.ts'

export { openBytes, sealBytes, withoutTrailingZeros } from './seal-buffer.ts'
export type { OpenBytesOptions, SealBytesOptions, SealedBytes } from './seal-buffer.ts'

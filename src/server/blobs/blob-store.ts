/**
 * Where sealed bytes are stored. A blob is stored as parts of `partBytes` each (the last one may be shorter), written
 * in any order and in parallel, and readable as soon as each is stored. The store knows no leases, owners or limits.
 *
 * The contract of every adapter (`test/contract/blob-store-contract.ts` runs it on each):
 * - `putPart` resolves only when the part survives `kill -9` and power loss. Calling it again replaces the part. The
 *   caller never runs two `putPart` of one part at once, and never calls it after `complete`.
 * - When `putPart` rejects, the bytes of that part are undefined until a later `putPart` of it succeeds; other parts
 *   are not affected.
 * - `complete` and `delete` are idempotent. `delete` of an unknown blob is no error.
 * - `read` writes exactly the requested bytes to the sink or rejects; a read that began before `delete` either gets all
 *   its bytes or rejects.
 * - Errors are `SealiftError`: `storage_full` (no space, disk quota), `too_large` (more than one file may hold),
 *   `damaged` (bytes that must be there are not), `unavailable` (any other failure of the store; worth a retry), with
 *   the foreign error as `cause`. An abort rejects with the signal's reason. What `source` throws is passed on
 *   unchanged.
 */
export interface BlobStore extends AsyncDisposable {
  /** Takes over the pieces of `source`: their memory may be detached afterwards. Returns the number of bytes stored. */
  putPart(part: PartAddress, source: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<number>

  /** Copies bytes `range.start` (inclusive) to `range.end` (exclusive) into `sink`. All their parts must be stored. */
  read(blob: BlobAddress, range: BlobRange, sink: ByteSink, signal: AbortSignal): Promise<void>

  /** Finalizes the blob: all parts are stored and their sizes sum up to `sizeBytes`. Durable when it resolves. */
  complete(blob: BlobAddress, sizeBytes: number): Promise<void>

  delete(blobId: BlobId): Promise<void>

  /** Every blob in the store, complete or not, in no order: for the orphan sweep and fsck. */
  list(signal: AbortSignal): AsyncIterable<StoredBlob>

  /** Proves that the store can write, read and delete right now. */
  probe(): Promise<void>
}

/** Names stored bytes; internal, never sent to a client. Has the shape of `ID_PATTERN`. */
export type BlobId = string

export interface BlobAddress {
  readonly blobId: BlobId
  /** Size of every part but the last; fixed when the upload began. */
  readonly partBytes: number
}

export interface PartAddress extends BlobAddress {
  readonly index: number
  /**
   * Exact length; `putPart` rejects with `size_mismatch` when the source yields more or fewer bytes.
   * `null`: from 1 byte to `partBytes`, as the source yields (a form's file, whose length is unknown).
   */
  readonly sizeBytes: number | null
}

export interface BlobRange {
  /** First byte, inclusive. */
  readonly start: number
  /** Past the last byte. */
  readonly end: number
}

/** Takes bytes in order. */
export interface ByteSink {
  /**
   * Resolves when the sink no longer needs `bytes` (the store may then reuse the memory): this is the backpressure.
   * Returning `undefined` means that it needs them no longer already. A store may have two writes outstanding.
   */
  write(bytes: Uint8Array): Promise<void> | undefined
}

export interface StoredBlob {
  readonly blobId: BlobId
  /** `null`: this store does not know; the records do. */
  readonly complete: boolean | null
  /** What is stored; while parts are missing, as `ChecksBlobs.measures` says. */
  readonly sizeBytes: number
  /** Wall-clock ms of the last change, by the store's clock. */
  readonly modifiedAt: number
}

export interface DiskSpace {
  readonly freeBytes: number
  readonly totalBytes: number
}

/** Optional: a store that knows how much space is free. */
export interface MeasuresSpace {
  freeSpace(): Promise<DiskSpace>
}

/** Optional: a store that can say whether all bytes of a blob are there without sending them to a client. */
export interface ChecksBlobs {
  /** What the size of an incomplete blob is: `end`, past the last stored byte; `sum`, of its stored parts. */
  readonly measures: 'end' | 'sum'

  /** `null` when the blob is not there; else its stored size. */
  stat(blobId: BlobId): Promise<StoredBlob | null>
}

/** Optional: a store that can return bytes it read a moment ago without waiting. */
export interface ReadsCached {
  /** Bytes of a complete blob. `null`: not all of them are cached; call `read`. Never throws. */
  tryReadCached(blobId: BlobId, range: BlobRange): CachedBytes | null
}

/** Memory of the store, until it is released. */
export interface CachedBytes {
  readonly bytes: Uint8Array
  /** The store may reuse the memory. */
  release(): void
  /** A failed write may still read the memory: it is never used again. */
  discard(): void
}

/** Optional: a store whose complete blobs are files that another program on this machine may send. */
export interface LocatesFiles {
  /** Path of a complete blob's file inside the store's folder, with `/` between names. */
  fileOf(blobId: BlobId): string
}

/** Optional: a store that clients may exchange the bytes of a part with, by presigned URLs. */
export interface GrantsDirectAccess {
  /** To store a part of exactly these bytes. It counts only once `statPart` has found it. @throws unavailable */
  presignPart(part: PartName, upload: DirectUpload): Promise<DirectRequest>

  /** To read a part or a range of it. @throws unavailable */
  presignRead(part: PartName, ttlMs: number): Promise<DirectRequest>

  /** What is stored of a part; `null` when nothing is. @throws unavailable */
  statPart(part: PartName, signal: AbortSignal): Promise<StoredPart | null>
}

export type PartName = Pick<PartAddress, 'blobId' | 'index'>

export interface DirectUpload {
  readonly sizeBytes: number
  /** MD5 of the bytes, as in the header Content-MD5. */
  readonly md5Base64: string
  /** Lifetime of the presigned URL; whole seconds, at least one. */
  readonly ttlMs: number
}

export interface DirectRequest {
  readonly url: string
  /** Must be sent exactly so; HTTP clients set `content-length` by themselves. */
  readonly headers: Readonly<Record<string, string>>
}

export interface StoredPart {
  readonly sizeBytes: number
  /** As the service sends it, in quotes; for most services the MD5 in hex. */
  readonly etag: string
}

/**
 * Where the plaintext of an item comes from.
 * - bytes and `Blob`/`File`: read where they lie
 * - `RandomSource`: read by ranges, several at once
 * - `ReadableStream`: read once, in order; its length need not be known. It is cancelled when the send fails
 */
export type Source = Uint8Array<ArrayBuffer> | Blob | RandomSource | ReadableStream<Uint8Array>

/** Bytes that can be read at any offset, more than once. Stays the caller's: the SDK never closes it. */
export interface RandomSource {
  readonly sizeBytes: number
  /** Bytes `start` (inclusive) to `end` (exclusive), exactly; the caller then owns them. */
  read(start: number, end: number, signal: AbortSignal): Promise<Uint8Array<ArrayBuffer>>
  /** The same into `target`, which it fills, from `start` on; saves a copy where the source can do it. */
  readInto?(target: Uint8Array<ArrayBuffer>, start: number, signal: AbortSignal): Promise<void>
  /**
   * Called before the first read and after the last one of an item: rejects (`file_changed`) when the bytes may have
   * changed in between.
   */
  checkUnchanged?(): Promise<void>
}

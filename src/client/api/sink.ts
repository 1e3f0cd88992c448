/**
 * Where the plaintext of an item goes.
 * - `RandomSink`: written at offsets, in any order, several writes at once. Finishing it (close, rename) is the caller's
 * - `WritableStream`: written in order, closed when all bytes are in it, aborted when the download fails
 */
export type Sink = RandomSink | WritableStream<Uint8Array>

/** Takes bytes at offsets, in any order. */
export interface RandomSink {
  /** Takes `bytes`, which are the sink's from then on. Resolves when it can take more: this is the back-pressure. */
  write(bytes: Uint8Array<ArrayBuffer>, position: number): Promise<void>
}

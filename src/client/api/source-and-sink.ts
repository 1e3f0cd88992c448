import type { DownloadResume } from './options.ts'

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

/** A sink whose bytes can be read again. */
export interface RandomStore extends RandomSink {
  /** Bytes `start` (inclusive) to `end` (exclusive), all of which were written; the caller then owns them. */
  read(start: number, end: number, signal: AbortSignal): Promise<Uint8Array<ArrayBuffer>>
}

export function isStore(sink: RandomSink): sink is RandomStore {
  return 'read' in sink && typeof sink.read === 'function'
}

/**
 * Room for the bytes of a film that is still being sent, until it is known how the file that it was made of is put
 * together from them. Takes about as much as the file does.
 */
export interface KeepPlace {
  /** What an earlier download has left there under this name (32 hexadecimal digits); `null`: nothing. */
  find(name: string): Promise<KeptBytes | null>
  /** Empty room under this name. */
  create(name: string): Promise<KeptBytes>
}

/** Dispose it when nothing is read or written any more; what is in it stays until the place is cleared. */
export interface KeptBytes extends AsyncDisposable {
  readonly store: RandomStore
  /** Which bytes are there, who is told of more, and the server's name for the download that brings them. */
  readonly resume: DownloadResume
  /** Deletes it: other bytes were sent instead. */
  discard(): Promise<void>
}

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

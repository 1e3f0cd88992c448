import type { AsyncResource } from './async-resource.ts'

/**
 * Where the plaintext of an item goes.
 * - `RandomSink`: written at offsets, in any order, several writes at once. The caller closes it
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
 * Storage for the bytes of a film that is still being sent, from which the original file is rebuilt when all is sent.
 * Takes about as many bytes as the file.
 */
export interface KeepPlace {
  /** The bytes that an earlier download stored under this name (32 hexadecimal digits); `null` when there are none. */
  find(name: string): Promise<KeptBytes | null>
  /** Empty storage under this name. */
  create(name: string): Promise<KeptBytes>
}

/** Dispose it when nothing is read or written any more. Its bytes stay stored. */
export interface KeptBytes extends AsyncResource {
  readonly store: RandomStore
  /** The stored ranges, what is called for each new one, and the grant of the download. */
  readonly resume: DownloadResume
  /** Deletes the bytes, because other bytes were sent instead. */
  discard(): Promise<void>
}

/** What a caller stores to resume a download later. */
export interface DownloadResume {
  /** Plaintext ranges that are in the sink already and are not fetched again. */
  readonly finished: readonly PlainRange[]
  /** Called when the sink has taken a range: as large as a part, or what arrived before a connection broke. */
  onFinished(range: PlainRange): void | Promise<void>
  /** The server's name for this download, so that resuming does not count as another download. */
  readonly grant?: string
  onGrant?(grant: string): void | Promise<void>
}

/** Plaintext bytes `start` (inclusive) to `end` (exclusive). */
export interface PlainRange {
  readonly start: number
  readonly end: number
}

/**
 * Where the plaintext of an item comes from.
 * - bytes and `Blob`/`File`: read in place
 * - `RandomSource`: read by ranges, several at once
 * - `ReadableStream`: read once, in order; its length need not be known. It is cancelled when the send fails
 */
export type Source = Uint8Array<ArrayBuffer> | Blob | RandomSource | ReadableStream<Uint8Array>

/** Bytes that can be read at any offset, more than once. The SDK never closes it. */
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

import type { DownloadResume } from './options.ts'
import type { RandomSink } from './sink.ts'

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

import type { FilmDescription, TrackMedia } from '../manifest/film-readers.ts'
import type { Source } from './source-and-sink.ts'

/** How much of a track has been sent. */
export interface TrackProgress {
  /** What opens it, to be put into the description as it is; `null` while its upload has not begun. */
  readonly media: TrackMedia | null
  /** Plaintext bytes, from the first on, that receivers can read now. Grows up to the length of the track. */
  readonly readableBytes: number
}

/**
 * A film that goes with an item: its tracks are sealed and sent as media of their own, beside the item's bytes and all
 * at the same time.
 */
export interface OutgoingFilm {
  /** The bytes of tracks, subtitles and sheets, in an order that `describe` knows. Streams are read side by side. */
  readonly tracks: readonly Source[]
  /**
   * The film as the manifest of this moment is to tell it. Called for each version of the manifest; names no segment
   * beyond `readableBytes`.
   * @param own the item's own bytes, for a film that lies in them
   * @param tracks in the order of `tracks`
   * @returns `null` while there is nothing to tell
   */
  describe(own: TrackProgress, tracks: readonly TrackProgress[]): FilmDescription | null
  /**
   * The file that the item was made of, when its bytes are another layout of it. Receivers of the item get this file,
   * once all is sent.
   */
  readonly original?: OutgoingOriginal
}

/** Makes the film of an item when its send begins. */
export interface FilmMaker {
  /**
   * @returns the film; what has none, or `null`, is sent as the plain file it is
   * @throws the abort; any other error fails the item
   */
  begin(signal: AbortSignal): Promise<BegunFilm | PlainFile | null>
}

/** An item that is sent as the plain file it is. */
export interface PlainFile {
  readonly film: null
  /** Why, for receivers: `note` of the manifest's item. */
  readonly note: string
}

/** A film whose tracks are being made. */
export interface BegunFilm {
  readonly film: OutgoingFilm
  /** The item's own bytes instead of those of its source: the same ones in another layout. */
  readonly own?: MadeBytes
  /** How the film differs from its file, for receivers: `note` of the manifest's item. */
  readonly note?: string
  /** Whether an error says that this is no film after all: then the item is sent as the plain file it is. */
  readonly isUnfit?: (error: unknown) => boolean
  /** As `note` of `PlainFile`, for an error that `isUnfit` is true of. */
  readonly unfitNote?: (error: unknown) => string
}

/** Bytes that were made of a file and of nothing else. */
export interface MadeBytes {
  /** The sender frees the memory of its chunks when they are sealed. */
  readonly bytes: ReadableStream<Uint8Array<ArrayBuffer>>
  /**
   * Names the method that makes them, with its version. The same method must make the same bytes of the same file each
   * time, because an interrupted send resumes with them under the same key. At most 64 of `a-z 0-9 . -`.
   */
  readonly way: string
}

/** See `Original` in `docs/format.md`: rebuilds a file, byte for byte, from the item's own bytes. */
export interface OutgoingOriginal {
  /** Its length. */
  readonly bytes: number
  /** Place in `tracks` of the list of runs. */
  readonly runs: number
}

/**
 * The packager port: from any film to tracks that play from the first segment on. Two adapters: `remux` (mediabunny,
 * copies, Node and browsers) and `ladder` (ffmpeg, several qualities, Node).
 *
 * A track is one fragmented MP4 file, written from front to back: an initialization segment, then segments that begin
 * at key frames. What a stream has given out is held nowhere else, and back-pressure of a stream reaches the input. All
 * streams of a film must be read at the same time.
 */
import type { Preview } from '../client/manifest/manifest.ts'
import type { RandomSource } from '../client/api/source-and-sink.ts'

/** What a packager reads. */
export interface FilmInput {
  readonly source: RandomSource
  /**
   * Path on this machine. Adapters that start a program or a thread need it, unless `source` is a `FileSource`, which
   * knows its file.
   */
  readonly path?: string
}

/** Offset and length (bytes of the track's file), duration (seconds). */
export type Segment = readonly [offset: number, length: number, seconds: number]

/** What has been written of a track so far. Grows; what it lists has left the track's stream completely. */
export interface TrackLayout {
  /** Offset and length of the initialization segment; `null` before it is written. */
  readonly init: readonly [offset: number, length: number] | null
  readonly segments: readonly Segment[]
}

export interface PackagedTrack {
  /** RFC 6381, separated by commas. */
  readonly codecs: string
  /** As shown, rotation applied; absent without video. */
  readonly width?: number
  readonly height?: number
  readonly frameRate?: number
  /** BCP 47. */
  readonly language?: string
  readonly name?: string
  readonly isDefault?: boolean
  /** The file, once. Cancelling it ends the packaging of the film. */
  readonly bytes: ReadableStream<Uint8Array<ArrayBuffer>>
  readonly layout: TrackLayout
}

/** An audio track that can only be encoded. */
export interface UncopiedAudio extends Pick<PackagedTrack, 'language' | 'name' | 'isDefault'> {
  /** Among the audio tracks of the file, in its order, from 0. */
  readonly position: number
  /** The end of a sentence, such as `is in an unknown format`. */
  readonly reason: string
}

/** Subtitles as WebVTT, for the entire film. */
export interface PackagedSubtitles {
  readonly language?: string
  readonly name?: string
  readonly isDefault?: boolean
  readonly isForced?: boolean
  readonly text: Promise<Uint8Array<ArrayBuffer>>
}

/** Sheets of small images; see `storyboard` of `client/manifest/film-readers.ts`. */
export interface PackagedStoryboard {
  readonly everySeconds: number
  readonly columns: number
  readonly rows: number
  readonly tileWidth: number
  readonly tileHeight: number
  /** JPEG, in order. */
  readonly sheets: readonly Uint8Array<ArrayBuffer>[]
}

/** Images that show a film before it plays. */
export interface Pictures {
  readonly preview: Preview
  /** JPEG, at most 512 KiB. */
  readonly poster: Uint8Array<ArrayBuffer> | null
}

export interface PackagedFilm {
  /** Seconds; `null` while it is not known. */
  readonly seconds: number | null
  /** Best first; each with the same borders of segments. */
  readonly renditions: readonly PackagedTrack[]
  /** Audio apart from the renditions; empty when it is in them. */
  readonly audio: readonly PackagedTrack[]
  readonly subtitles: readonly PackagedSubtitles[]
  /** Resolves when all of the film has been read; `null`, at once or then: there is none. */
  readonly storyboard: Promise<PackagedStoryboard | null> | null
  /** What a person should know, such as a track that was left out; one sentence each. */
  readonly notes: readonly string[]
  /**
   * Whether the tracks hold most samples of the file byte for byte, so that the file can be rebuilt from them. False:
   * they are cut up, rewritten or left out. Absent: not known; the sender tries.
   */
  readonly keepsSamples?: boolean
  /** Audio that the caller encodes, from a packager with `leavesAudio`. */
  readonly uncopied?: {
    readonly audio: readonly UncopiedAudio[]
    /** Times of the package minus those of the file. */
    readonly shiftSeconds: number
  }
}

export interface PackageOptions {
  readonly signal: AbortSignal
  /** Audio that cannot be copied is listed in `uncopied`, instead of being refused or left out. */
  readonly leavesAudio?: boolean
  /** Gets the seconds of the film that are packaged. */
  readonly onProgress?: (seconds: number) => void
}

export interface Packager {
  /**
   * Begins; resolves once the tracks are known. Later errors come out of the tracks' streams.
   * @throws CannotPackage when it is no film, or one that this packager cannot take; the abort
   */
  package(input: FilmInput, options: PackageOptions): Promise<PackagedFilm>
}

/** Why a film is sent as a plain file. `message` is for people and names no file. */
export class CannotPackage extends Error {
  override readonly name = 'CannotPackage'
}

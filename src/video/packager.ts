/**
 * The packager port: from any film to tracks that can be played from the first segment on. Two adapters: `remux`
 * (mediabunny, copies, everywhere) and `ladder` (ffmpeg, several qualities, Node).
 *
 * A track is one fragmented MP4 file, written from front to back: an initialization segment, then segments that begin
 * at key frames. Nothing is kept: what a track's stream gives out is not held anywhere else, and what nobody reads is
 * not made, since back-pressure reaches the input. All streams of a film must be read at the same time.
 */
import type { Preview } from '../client/manifest.ts'
import type { RandomSource } from '../client/api/source-and-sink.ts'

/** What a packager reads. */
export interface FilmInput {
  readonly source: RandomSource
  /**
   * Where it is on this machine; adapters that start a program or a thread need it, unless `source` is a `FileSource`,
   * which says so itself and is read as the very file it was.
   */
  readonly path?: string
}

/** Offset, length (bytes of the track's file), duration (seconds). */
export type Segment = readonly [offset: number, length: number, seconds: number]

/** What has been written of a track so far. Grows; what is in it has left the track's stream whole. */
export interface TrackLayout {
  /** Offset and length of the initialization segment; `null` before it is written. */
  readonly init: readonly [offset: number, length: number] | null
  readonly segments: readonly Segment[]
}

export interface PackagedTrack {
  /** RFC 6381, separated by commas. */
  readonly codecs: string
  /** As shown, rotation applied; absent without pictures. */
  readonly width?: number
  readonly height?: number
  readonly frameRate?: number
  /** BCP 47. */
  readonly language?: string
  readonly name?: string
  readonly isDefault?: boolean
  /** The file, once. Cancelling it ends the packaging of the whole film. */
  readonly bytes: ReadableStream<Uint8Array<ArrayBuffer>>
  readonly layout: TrackLayout
}

/** A track of audio that can only be encoded anew. */
export interface UncopiedAudio extends Pick<PackagedTrack, 'language' | 'name' | 'isDefault'> {
  /** Among the audio tracks of the file, in its order. */
  readonly place: number
  /** In a few words. */
  readonly reason: string
}

/** Subtitles as WebVTT, whole. */
export interface PackagedSubtitles {
  readonly language?: string
  readonly name?: string
  readonly isDefault?: boolean
  readonly isForced?: boolean
  readonly text: Promise<Uint8Array<ArrayBuffer>>
}

/** Sheets of small pictures; see `storyboard` of `client/film.ts`. */
export interface PackagedStoryboard {
  readonly everySeconds: number
  readonly columns: number
  readonly rows: number
  readonly tileWidth: number
  readonly tileHeight: number
  /** JPEG, in order. */
  readonly sheets: readonly Uint8Array<ArrayBuffer>[]
}

/** What shows a film before it plays. */
export interface Pictures {
  readonly preview: Preview
  /** JPEG, at most 512 KiB. */
  readonly poster: Uint8Array<ArrayBuffer> | null
}

export interface PackagedFilm {
  /** Seconds; `null` while it is not known. */
  readonly seconds: number | null
  /** Best first; the same segments' borders in each. */
  readonly renditions: readonly PackagedTrack[]
  /** Sound apart from the renditions; empty when it is in them. */
  readonly audio: readonly PackagedTrack[]
  readonly subtitles: readonly PackagedSubtitles[]
  /** Resolves when all of the film has been looked at; `null`, at once or then: there is none. */
  readonly storyboard: Promise<PackagedStoryboard | null> | null
  /** What a person should know, such as a track that was left out; one sentence each. */
  readonly notes: readonly string[]
  /**
   * Whether most bytes of the file stand in the tracks as they stand in the file, sample by sample, so that the file can
   * be told by what the film lacks. False: they are cut up, rewritten or left out. Absent: not known, and tried.
   */
  readonly keepsSamples?: boolean
  /** Audio that belongs to the film and is still to be made, by a packager that was asked to leave it. */
  readonly uncopied?: {
    readonly audio: readonly UncopiedAudio[]
    /** Times of the package, less those of the file. */
    readonly shiftSeconds: number
  }
}

export interface PackageOptions {
  readonly signal: AbortSignal
  /** What audio cannot be copied is told in `uncopied`, instead of being refused or left out. */
  readonly leavesAudio?: boolean
  /** Seconds of the film that are packaged. */
  readonly onProgress?: (seconds: number) => void
}

export interface Packager {
  /**
   * Begins; resolves once the tracks are known. Errors later on come out of the tracks' streams.
   * @throws CannotPackage when it is no film, or one that this packager cannot take; the abort
   */
  package(input: FilmInput, options: PackageOptions): Promise<PackagedFilm>
}

/** Why a film is sent as a plain file; `message` tells a person. Names no file. */
export class CannotPackage extends Error {
  override readonly name = 'CannotPackage'
}

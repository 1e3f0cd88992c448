import type { FilmDescription } from '../../client/index.ts'
import { isSealiftError } from '../../protocol/errors.ts'
import type { SealiftErrorCode } from '../../protocol/errors.ts'

/**
 * - `loading`: nothing can be shown yet
 * - `ready`: plays, or would if it were not paused
 * - `waiting`: stands still until more has come
 * - `offline`: the server cannot be reached; what has come plays on, and the rest follows by itself once it can be
 * - `failed`: nothing more will come; `error` says why. What has come can still be watched
 * - `destroyed`: the element is free
 */
export type PlayerState = 'loading' | 'ready' | 'waiting' | 'offline' | 'failed' | 'destroyed'

/** One size of the film. */
export interface Quality {
  /** Pixels; `null` without pictures. */
  readonly width: number | null
  readonly height: number | null
  /** Bits per second of its densest part, sound included. */
  readonly bandwidth: number
}

/** Sound or subtitles to choose from. */
export interface TrackChoice {
  /** Untrusted text of the sender, or made of the language. */
  readonly name: string
  /** BCP 47. */
  readonly language: string | null
}

/** A small picture of the film: a part of a sheet of them. */
export interface StoryboardTile {
  /** Object URL of the sheet, a JPEG. Valid until several others have been asked for, or the player is destroyed. */
  readonly sheet: string
  /** Where the picture is in the sheet, in pixels. */
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
}

/** What `Player.on` tells, by name. Listeners must not throw. */
export interface PlayerEvents {
  readonly state: PlayerState
  /** Told once when fatal; `Player.error` keeps it. */
  readonly error: PlayerError
  /** There are other qualities than before: once when they are known, and when one turns out not to play here. */
  readonly qualities: readonly Quality[]
  /** The quality whose pictures are shown from now on: a place in `qualities`. */
  readonly quality: number
  /** Sound or subtitles to choose from are known. */
  readonly tracks: Pick<Player, 'audioTracks' | 'subtitles'>
  /** Whether the film is still being sent. */
  readonly sending: boolean
  /** A sheet of the storyboard came: `storyboardAt` has more to give. */
  readonly storyboard: undefined
}

/** Plays one item of a parcel in a media element, whose own controls, `play`, `pause` and `currentTime` work as ever. */
export interface Player extends Disposable {
  readonly element: HTMLMediaElement
  readonly state: PlayerState
  /** The fatal one, if there was one. */
  readonly error: PlayerError | null
  /** What is known of the film by now; `null` while nothing is, and for a plain file. */
  readonly description: FilmDescription | null
  /** The item's note when it was attached, such as why it is a plain file: untrusted text of the sender. `null`: none. */
  readonly note: string | null
  /** True while the sender is still at it: the film grows. */
  readonly sending: boolean
  /** Best first; empty while they are not known, and for a plain file. */
  readonly qualities: readonly Quality[]
  /**
   * The choice: a place in `qualities`, or `auto` (the default), by the line and the element's size. To be set once
   * they are known; before that there is `PlayerOptions.quality`. @throws RangeError
   */
  quality: number | 'auto'
  /** The one that is shown; `null` before the first picture. */
  readonly playingQuality: number | null
  /** Sound to choose from; empty when there is no choice. */
  readonly audioTracks: readonly TrackChoice[]
  /** A place in `audioTracks`; -1 without a choice. */
  audioTrack: number
  readonly subtitles: readonly TrackChoice[]
  /** A place in `subtitles`; `null`: none are shown. */
  subtitle: number | null
  /**
   * The small picture of a moment, to show while somebody looks for a place.
   * @returns `null` when there is none, or while its sheet is being fetched; then the event `storyboard` follows
   */
  storyboardAt(seconds: number): StoryboardTile | null
  /** @returns what takes the listener away again */
  on<Name extends keyof PlayerEvents>(name: Name, listener: (value: PlayerEvents[Name]) => void): () => void
  /** Ends all requests, frees the element and everything that is kept. The parcel stays the caller's. */
  destroy(): void
}

/** How `attach` plays. */
export interface PlayerOptions {
  /**
   * URL of `hls.worker.js` of the package hls.js, to unpack segments off the main thread. Without it they are unpacked
   * in the page, which costs little, since they are copied only; no `worker-src` is needed then.
   */
  readonly workerUrl?: string
  /** The quality to begin with: a place in `qualities`, or the last one if there are fewer. Default `auto`. */
  readonly quality?: number | 'auto'
  /** Whether `auto` leaves out qualities with more pixels than the element shows. Default true. */
  readonly limitToElement?: boolean
  /** The line before anything was measured: bits per second. Default 1 000 000. */
  readonly assumedBandwidth?: number
  /** Seconds of film kept ahead of the position, at most. Default 30. */
  readonly aheadSeconds?: number
  /** Seconds of film kept behind the position. Default 30. */
  readonly behindSeconds?: number
  /**
   * A sender that publishes nothing new for so long is taken for gone. Default 600 seconds; sooner where its manifest says how
   * often a version comes.
   */
  readonly senderPatienceSeconds?: number
  /** Largest plain file (no film) that is fetched whole to be played. Default 268 435 456 bytes. */
  readonly maxPlainBytes?: number
}

/**
 * Why something does not play:
 * - `expired`: it has ended, was deleted, or may not be fetched any more
 * - `damaged`: its bytes are not those that were sealed; nothing of them was shown
 * - `sender_gone`: the sender stopped before everything was sent; what came can still be watched
 * - `not_playable`: no film, or one that this browser cannot play; it can be downloaded
 * - `failed`: anything else; `cause` tells
 */
export type PlayerErrorCode = 'expired' | 'damaged' | 'sender_gone' | 'not_playable' | 'failed'

/** What a player tells when something does not play. `message` is for people; `code` is stable. */
export class PlayerError extends Error {
  override readonly name = 'PlayerError'
  readonly code: PlayerErrorCode
  /** False: only subtitles or a preview picture are missing, and the film goes on. */
  readonly fatal: boolean

  constructor(code: PlayerErrorCode, message: string, options: { cause?: unknown; fatal?: boolean } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.fatal = options.fatal ?? true
  }
}

const MESSAGES: Readonly<Record<PlayerErrorCode, string>> = {
  expired: 'This is not there any more: it has expired or was deleted',
  damaged: 'This was altered on its way or in storage, and is not shown',
  sender_gone: 'The sender stopped before everything was sent',
  not_playable: 'This cannot be played here; it can be downloaded',
  failed: 'This could not be played',
}

const CODES: Partial<Record<SealiftErrorCode, PlayerErrorCode>> = {
  gone: 'expired',
  not_found: 'expired',
  downloads_exhausted: 'expired',
  unauthorized: 'expired',
  forbidden: 'expired',
  damaged_media: 'damaged',
  damaged: 'damaged',
  invalid_manifest: 'damaged',
  sender_gone: 'sender_gone',
}

/** Any failure, as what it means to whoever watches. */
export function toPlayerError(error: unknown, { fatal = true }: { fatal?: boolean } = {}): PlayerError {
  if (error instanceof PlayerError) return error
  const code = (isSealiftError(error) ? CODES[error.code] : undefined) ?? 'failed'
  return new PlayerError(code, MESSAGES[code], { cause: error, fatal })
}

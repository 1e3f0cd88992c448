import type { FilmDescription } from '../../client/index.ts'
import { isSealiftError } from '../../protocol/errors.ts'
import type { SealiftErrorCode } from '../../protocol/errors.ts'

/**
 * - `loading`: nothing can be shown yet
 * - `ready`: plays, or would if it were not paused
 * - `waiting`: paused until more has been loaded
 * - `offline`: the server cannot be reached; what has been loaded plays on, and loading continues once it is reachable
 * - `failed`: nothing more is loaded; `error` says why. What has been loaded can still be watched
 * - `destroyed`: the element is free
 */
export type PlayerState = 'loading' | 'ready' | 'waiting' | 'offline' | 'failed' | 'destroyed'

/** One size of the film. */
export interface Quality {
  /** Pixels; `null` without video. */
  readonly width: number | null
  readonly height: number | null
  /** Bits per second of its densest part, audio included. */
  readonly bandwidth: number
}

/** Audio or subtitles to choose from. */
export interface TrackChoice {
  /** Untrusted text of the sender, or derived from the language. */
  readonly name: string
  /** BCP 47. */
  readonly language: string | null
}

/** A small image of the film: a part of a sheet. */
export interface StoryboardTile {
  /**
   * Object URL of the sheet, a JPEG. Valid until eight other sheets have been requested, or the player is destroyed.
   */
  readonly sheet: string
  /** Position of the image in the sheet, in pixels. */
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
}

/** Events of `Player.on` by name. Listeners must not throw. */
export interface PlayerEvents {
  readonly state: PlayerState
  /** Emitted once when fatal; `Player.error` holds it. */
  readonly error: PlayerError
  /** The qualities are known, or one of them turned out not to play here. */
  readonly qualities: readonly Quality[]
  /** The quality whose frames are shown from now on: an index of `qualities`. */
  readonly quality: number
  /** Audio or subtitles to choose from are known. */
  readonly tracks: Pick<Player, 'audioTracks' | 'subtitles'>
  /** Whether the film is still being sent. */
  readonly sending: boolean
  /** A sheet of the storyboard has been loaded: call `storyboardAt` again. */
  readonly storyboard: undefined
}

/**
 * Plays one item of a parcel in a media element, whose own controls, `play`, `pause` and `currentTime` work as usual.
 */
export interface Player extends Disposable {
  readonly element: HTMLMediaElement
  readonly state: PlayerState
  /** The fatal error, if there was one. */
  readonly error: PlayerError | null
  /** The newest description of the film; `null` before there is one, and for a plain file. */
  readonly description: FilmDescription | null
  /**
   * The item's note when it was attached, such as why it is a plain file. Untrusted text of the sender; `null`: none.
   */
  readonly note: string | null
  /** True while the film is still being sent and grows. */
  readonly sending: boolean
  /** Best first; empty before they are known, and for a plain file. */
  readonly qualities: readonly Quality[]
  /**
   * The choice: an index of `qualities`, or `auto` (the default), which goes by bandwidth and the element's size. Set
   * it once the qualities are known; before that, use `PlayerOptions.quality`. @throws RangeError
   */
  quality: number | 'auto'
  /** The one that is shown; `null` before the first frame. */
  readonly playingQuality: number | null
  /** Audio to choose from; empty when there is no choice. */
  readonly audioTracks: readonly TrackChoice[]
  /** An index of `audioTracks`; -1 without a choice. */
  audioTrack: number
  readonly subtitles: readonly TrackChoice[]
  /** An index of `subtitles`; `null`: none are shown. */
  subtitle: number | null
  /**
   * The small image of a moment, to show while a person seeks.
   * @returns `null` when there is none, or while its sheet is being fetched; then the event `storyboard` follows
   */
  storyboardAt(seconds: number): StoryboardTile | null
  /** @returns a function that removes the listener */
  on<Name extends keyof PlayerEvents>(name: Name, listener: (value: PlayerEvents[Name]) => void): () => void
  /** Ends all requests, and frees the element and all caches. The parcel stays open. */
  destroy(): void
}

/** How `attach` plays. */
export interface PlayerOptions {
  /**
   * URL of `hls.worker.js` of the package hls.js, to process segments off the main thread. Without it they are
   * processed in the page, which costs little, since they are only copied; no `worker-src` is needed then.
   */
  readonly workerUrl?: string
  /** The quality to begin with: an index of `qualities`, or the last one if there are fewer. Default `auto`. */
  readonly quality?: number | 'auto'
  /** Whether `auto` leaves out qualities with more pixels than the element shows. Default true. */
  readonly limitToElement?: boolean
  /** Bandwidth before anything was measured: bits per second. Default 1 000 000. */
  readonly assumedBandwidth?: number
  /** Seconds of film buffered ahead of the position, at most. Default 30. */
  readonly aheadSeconds?: number
  /** Seconds of film that stay buffered behind the position. Default 30. */
  readonly behindSeconds?: number
  /**
   * A sender that publishes nothing new for this time counts as gone. Default 600 seconds; less where its manifest says
   * how often a version comes.
   */
  readonly senderPatienceSeconds?: number
  /** Largest plain file (no film) that is fetched to be played. Default 268 435 456 bytes. */
  readonly maxPlainBytes?: number
}

/**
 * Why something does not play:
 * - `expired`: it has expired, was deleted, or may no longer be fetched
 * - `damaged`: its bytes are not those that were sealed; none of them were shown
 * - `sender_gone`: the sender stopped before everything was sent; what was sent can still be watched
 * - `not_playable`: no film, or one that this browser cannot play; it can be downloaded
 * - `failed`: anything else; see `cause`
 */
export type PlayerErrorCode = 'expired' | 'damaged' | 'sender_gone' | 'not_playable' | 'failed'

/** Why an item does not play. `message` is for people; `code` is stable. */
export class PlayerError extends Error {
  override readonly name = 'PlayerError'
  readonly code: PlayerErrorCode
  /** False: only subtitles or an image of the storyboard are missing, and the film goes on. */
  readonly fatal: boolean

  constructor(code: PlayerErrorCode, message: string, options: { cause?: unknown; fatal?: boolean } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.fatal = options.fatal ?? true
  }
}

const MESSAGES: Readonly<Record<PlayerErrorCode, string>> = {
  expired: 'This is no longer there: it has expired or was deleted',
  damaged: 'This was altered in transit or in storage, and is not shown',
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

/** Any failure, as what it means to the person who watches. */
export function toPlayerError(error: unknown, { fatal = true }: { fatal?: boolean } = {}): PlayerError {
  if (error instanceof PlayerError) return error
  const code = (isSealiftError(error) ? CODES[error.code] : undefined) ?? 'failed'
  return new PlayerError(code, MESSAGES[code], { cause: error, fatal })
}

import { isSealiftError, SealiftError } from '../../protocol/errors.ts'
import { unlessAborted } from '../../client/concurrency/abort.ts'
import type { Film, FilmDescription, FilmSubtitles, FilmTrack, Parcel, ParcelItem } from '../../client/index.ts'
import { filmTargetSeconds } from '../playlists.ts'
import type { ConnectionStatus } from './connection-status.ts'

const WAIT_SECONDS = 30

/** A track or subtitles of the description. */
export interface TrackReference {
  readonly kind: 'rendition' | 'audio' | 'subtitles'
  /** In the description's list of that kind. */
  readonly index: number
}

export interface GrowingFilmOptions {
  readonly connection: ConnectionStatus
  readonly signal: AbortSignal
  readonly senderPatienceMs: number
}

/** A film as the newest version of its parcel describes it. */
export class GrowingFilm {
  /** It was still being sent when it was opened. */
  readonly hasGrown: boolean
  /** For its playlists, which must not change it while they grow. */
  readonly targetSeconds: number
  readonly #options: GrowingFilmOptions
  #parcel: Parcel
  #film: Film
  #changed = Promise.withResolvers<void>()
  #abandoned = false

  private constructor(parcel: Parcel, film: Film, options: GrowingFilmOptions) {
    this.#parcel = parcel
    this.#film = film
    this.#options = options
    this.hasGrown = film.description.state === 'sending'
    // Longer ones than the first may follow.
    this.targetSeconds = filmTargetSeconds(film.description) * (this.hasGrown ? 2 : 1)
  }

  /**
   * Waits until there is something to play of an item that is still being sent.
   * @returns `null` when the item is no film
   */
  static async open(parcel: Parcel, item: ParcelItem, options: GrowingFilmOptions): Promise<GrowingFilm | null> {
    let version = parcel
    for (;;) {
      const current = version.items[item.index] ?? item
      const film = version.film(current)
      if (film && canBegin(film.description)) return new GrowingFilm(version, film, options)
      const mayCome = film ? film.description.state === 'sending' : current.state === 'sending'
      if (!mayCome) return null
      version = await nextVersion(version, options)
    }
  }

  get film(): Film {
    return this.#film
  }

  /** More segments will follow. */
  get sending(): boolean {
    return !this.#abandoned && this.#film.description.state === 'sending'
  }

  /** Follows new versions until the film is complete. @throws sender_gone; the errors of `Parcel.next` */
  async follow(onChange: () => void): Promise<void> {
    while (this.sending) {
      try {
        this.#parcel = await nextVersion(this.#parcel, this.#options)
      } catch (error) {
        this.#abandoned = true
        this.#notify(onChange)
        throw error
      }
      const item = this.#parcel.items[this.#film.item.index]
      const film = item && this.#parcel.film(item)
      if (film) this.#film = film
      this.#notify(onChange)
    }
  }

  track({ kind, index }: TrackReference): FilmTrack | null {
    const { renditions, audio = [] } = this.#film.description
    if (kind === 'subtitles') return null
    return (kind === 'audio' ? audio : renditions)[index] ?? null
  }

  subtitles(index: number): FilmSubtitles | null {
    return this.#film.description.subtitles?.[index] ?? null
  }

  /** Resolves when a track has a segment of this number, or will never have it. */
  async untilSegment(reference: TrackReference, segment: number, signal: AbortSignal): Promise<void> {
    while (this.sending && (this.track(reference)?.segments.length ?? 0) <= segment) {
      await unlessAborted(this.#changed.promise, signal)
    }
  }

  #notify(onChange: () => void): void {
    this.#changed.resolve()
    this.#changed = Promise.withResolvers()
    onChange()
  }
}

/** A playlist without segments is an error to hls.js. */
function canBegin({ renditions, audio = [] }: FilmDescription): boolean {
  return [...renditions, ...audio].every(track => track.segments.length > 0)
}

async function nextVersion(
  parcel: Parcel,
  { connection, signal, senderPatienceMs }: GrowingFilmOptions,
): Promise<Parcel> {
  const waitSeconds = Math.max(1, Math.min(WAIT_SECONDS, Math.ceil(senderPatienceMs / 1000)))
  // Only responses count: without the server, nothing is known of the sender.
  for (let silentMs = 0; silentMs < senderPatienceMs; silentMs += waitSeconds * 1000) {
    try {
      const next = await connection.run(signal, inner => parcel.next({ waitSeconds, signal: inner.signal }))
      if (next) return next
    } catch (error) {
      throw isSealiftError(error, 'gone', 'not_found') ? senderGone(error) : error
    }
  }
  throw senderGone()
}

function senderGone(cause?: unknown): SealiftError {
  return new SealiftError('sender_gone', 'The sender stopped before everything was sent', { cause })
}

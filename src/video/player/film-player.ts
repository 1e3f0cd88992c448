import type { FilmDescription, Parcel, ParcelItem } from '../../client/index.ts'
import { GrowingFilm } from './growing-film.ts'
import { HlsPlayback } from './hls-playback.ts'
import { ConnectionStatus } from './connection-status.ts'
import { plainFileUrl } from './plain-file.ts'
import { toPlayerError } from './player.ts'
import type { PlayerError } from './player.ts'
import type {
  Player,
  PlayerEvents,
  PlayerOptions,
  PlayerState,
  Quality,
  StoryboardTile,
  TrackChoice,
} from './player.ts'
import { StoryboardSheets } from './storyboard-sheets.ts'

const DEFAULT_SENDER_PATIENCE_SECONDS = 600
const DEFAULT_MAX_PLAIN_BYTES = 256 * 1024 * 1024

interface FilmPlayerOptions {
  readonly element: HTMLMediaElement
  readonly parcel: Parcel
  readonly item: ParcelItem
  readonly options: PlayerOptions
}

/**
 * Plays an item of a parcel in a `<video>` or `<audio>` element: a film from its first segment on, in the quality that
 * the bandwidth allows, also while it is still being sent; anything else that the browser can play, once all of it has
 * been fetched. No other player may use the element until `destroy`.
 *
 * Returns at once; `state` and the events report progress. Loads hls.js when it is called.
 */
export function attach(
  element: HTMLMediaElement,
  parcel: Parcel,
  item: ParcelItem,
  options: PlayerOptions = {},
): Player {
  return new FilmPlayer({ element, parcel, item, options })
}

/** One item in one element: a film on hls.js, or a plain file as the element plays it. */
class FilmPlayer implements Player {
  readonly element: HTMLMediaElement
  readonly #options: FilmPlayerOptions
  readonly #emitter = new Emitter<PlayerEvents>()
  /** Release what the player holds, the newest first. */
  readonly #cleanups: (() => void)[] = []
  readonly #stop = new AbortController()
  readonly #connection: ConnectionStatus
  readonly #storyboard: StoryboardSheets
  #film: GrowingFilm | null = null
  #playback: HlsPlayback | null = null
  #state: PlayerState = 'loading'
  #error: PlayerError | null = null
  #sending = false
  #isStarved = true
  #hasBegun = false
  #isStopped = false

  constructor(options: FilmPlayerOptions) {
    this.element = options.element
    this.#options = options
    this.#connection = new ConnectionStatus(() => this.#update())
    this.#cleanups.push(() => this.#connection.close())
    this.#storyboard = new StoryboardSheets({
      description: () => this.description,
      read: (board, range, signal) =>
        this.#connection.run(signal, inner => this.#opened().film.read(board, range, inner)),
      onSheet: () => this.#emitter.emit('storyboard', undefined),
      onError: this.#withoutExtra,
    })
    this.#cleanups.push(() => this.#storyboard.close())
    this.#watchElement()
    void this.#start().catch(this.#fail)
  }

  get state(): PlayerState {
    return this.#state
  }

  get error(): PlayerError | null {
    return this.#error
  }

  get description(): FilmDescription | null {
    return this.#film?.film.description ?? null
  }

  get note(): string | null {
    return this.#options.item.note ?? null
  }

  get sending(): boolean {
    return this.#sending
  }

  get qualities(): readonly Quality[] {
    return this.#playback?.qualities ?? []
  }

  get quality(): number | 'auto' {
    return this.#playback?.quality ?? 'auto'
  }

  set quality(quality: number | 'auto') {
    if (this.#playback) this.#playback.quality = quality
  }

  get playingQuality(): number | null {
    return this.#playback?.playingQuality ?? null
  }

  get audioTracks(): readonly TrackChoice[] {
    return this.#playback?.audioTracks ?? []
  }

  get audioTrack(): number {
    return this.#playback?.audioTrack ?? -1
  }

  set audioTrack(index: number) {
    if (this.#playback) this.#playback.audioTrack = index
  }

  get subtitles(): readonly TrackChoice[] {
    return this.#playback?.subtitles ?? []
  }

  get subtitle(): number | null {
    return this.#playback?.subtitle ?? null
  }

  set subtitle(index: number | null) {
    if (this.#playback) this.#playback.subtitle = index
  }

  storyboardAt(seconds: number): StoryboardTile | null {
    return this.#storyboard.at(seconds)
  }

  on<Name extends keyof PlayerEvents>(name: Name, listener: (value: PlayerEvents[Name]) => void): () => void {
    return this.#emitter.on(name, listener)
  }

  destroy(): void {
    if (this.#stop.signal.aborted) return
    this.#stop.abort()
    this.#playback = null
    try {
      for (const cleanUp of this.#cleanups.splice(0).toReversed()) cleanUp()
    } finally {
      this.#update()
    }
  }

  [Symbol.dispose](): void {
    this.destroy()
  }

  async #start(): Promise<void> {
    const { parcel, item, options } = this.#options
    const film = await GrowingFilm.open(parcel, item, {
      connection: this.#connection,
      signal: this.#stop.signal,
      senderPatienceMs: (options.senderPatienceSeconds ?? DEFAULT_SENDER_PATIENCE_SECONDS) * 1000,
    })
    const playback = film && (await this.#playFilm(film))
    if (!playback) return this.#playPlain()
    this.#follow(playback.film)
  }

  async #playFilm(film: GrowingFilm): Promise<{ film: GrowingFilm } | null> {
    this.#film = film
    const playback = await HlsPlayback.start({
      element: this.element,
      film,
      connection: this.#connection,
      options: this.#options.options,
      emit: (name, value) => this.#emitter.emit(name, value),
      fail: this.#fail,
      withoutSubtitles: this.#withoutExtra,
    })
    if (!playback) return null
    if (this.#stop.signal.aborted) playback.close()
    else {
      this.#playback = playback
      this.#cleanups.push(() => playback.close())
    }
    return { film }
  }

  #follow(film: GrowingFilm): void {
    const update = (): void => {
      if (!this.#stop.signal.aborted && !this.#isStopped) this.#setSending(film.sending)
    }
    update()
    film.follow(update).catch((error: unknown) => this.#fail(error, { keepLoading: true }))
  }

  #setSending(sending: boolean): void {
    if (sending === this.#sending) return
    this.#sending = sending
    this.#emitter.emit('sending', sending)
  }

  async #playPlain(): Promise<void> {
    const { parcel, item, options } = this.#options
    const maxBytes = options.maxPlainBytes ?? DEFAULT_MAX_PLAIN_BYTES
    const { element } = this
    const { signal } = this.#stop
    const url = await plainFileUrl(parcel, item, { element, connection: this.#connection, signal, maxBytes })
    if (signal.aborted) return URL.revokeObjectURL(url)
    this.#cleanups.push(() => {
      element.removeAttribute('src')
      element.load()
      URL.revokeObjectURL(url)
    })
    this.#listen('error', () => this.#fail(element.error))
    element.src = url
  }

  /**
   * Loading ends with the first fatal error. `keepLoading`: only the sender is gone, and what it sent can be loaded.
   */
  readonly #fail = (cause: unknown, { keepLoading = false } = {}): void => {
    if (this.#stop.signal.aborted) return
    if (!keepLoading) {
      this.#stopLoading()
      this.#setSending(false)
    }
    if (this.#error) return
    this.#error = toPlayerError(cause)
    this.#update()
    this.#emitter.emit('error', this.#error)
  }

  #stopLoading(): void {
    if (this.#isStopped) return
    this.#isStopped = true
    this.#playback?.stop()
  }

  readonly #withoutExtra = (cause: unknown): void => {
    if (!this.#stop.signal.aborted) this.#emitter.emit('error', toPlayerError(cause, { fatal: false }))
  }

  #opened(): GrowingFilm {
    if (!this.#film) throw new TypeError('There is no film yet')
    return this.#film
  }

  #watchElement(): void {
    const plays = (): void => {
      this.#hasBegun = true
      this.#isStarved = false
      this.#update()
    }
    for (const name of ['loadeddata', 'canplay', 'playing', 'seeked']) this.#listen(name, plays)
    this.#listen('waiting', () => {
      this.#isStarved = true
      this.#update()
      if (this.#isStopped) this.element.pause()
    })
  }

  #listen(name: string, listener: () => void): void {
    this.element.addEventListener(name, listener)
    this.#cleanups.push(() => this.element.removeEventListener(name, listener))
  }

  #update(): void {
    const state = this.#currentState()
    if (state === this.#state) return
    this.#state = state
    this.#emitter.emit('state', state)
  }

  #currentState(): PlayerState {
    if (this.#stop.signal.aborted) return 'destroyed'
    if (this.#error) return 'failed'
    if (this.#connection.isOffline) return 'offline'
    if (!this.#hasBegun) return 'loading'
    return this.#isStarved ? 'waiting' : 'ready'
  }
}

/** Listeners by event; each event has one value. */
class Emitter<Events extends object> {
  readonly #listeners: { [Name in keyof Events]?: Set<(value: Events[Name]) => void> } = {}

  /** @returns what takes the listener away again */
  on<Name extends keyof Events>(name: Name, listener: (value: Events[Name]) => void): () => void {
    const listeners = this.#listeners[name] ?? new Set()
    this.#listeners[name] = listeners
    listeners.add(listener)
    return () => listeners.delete(listener)
  }

  emit<Name extends keyof Events>(name: Name, value: Events[Name]): void {
    for (const listener of Array.from(this.#listeners[name] ?? [])) listener(value)
  }
}

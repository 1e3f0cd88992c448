import type Hls from 'hls.js'
import type { ErrorData, Level } from 'hls.js'

import { MASTER_URL } from './playlist-loader.ts'
import type { GrowingFilm } from './growing-film.ts'
import { FirstSegmentPrefetch } from './first-segment-prefetch.ts'
import { hlsConfig } from './hls-config.ts'
import type { ConnectionStatus } from './connection-status.ts'
import { playlistLoader } from './playlist-loader.ts'
import { PlayerError } from './player.ts'
import type { Player, PlayerEvents, PlayerOptions, Quality, TrackChoice } from './player.ts'
import { trackLoader } from './track-loader.ts'

/** A second failure of the decoder so soon after the first is not one that passes. */
const RECOVERY_MS = 5000

export interface HlsPlaybackOptions {
  readonly element: HTMLMediaElement
  readonly film: GrowingFilm
  readonly connection: ConnectionStatus
  readonly options: PlayerOptions
  readonly emit: <Name extends keyof PlayerEvents>(name: Name, value: PlayerEvents[Name]) => void
  /** Gets every error that ends the playing. */
  readonly fail: (error: unknown) => void
  readonly withoutSubtitles: (error: unknown) => void
}

type Choices = Pick<
  Player,
  'qualities' | 'quality' | 'playingQuality' | 'audioTracks' | 'audioTrack' | 'subtitles' | 'subtitle'
>

/** A film on hls.js. Its qualities are hls.js' levels, which go from the smallest to the best, the other way round. */
export class HlsPlayback implements Choices {
  readonly #hls: Hls
  readonly #names: Pick<typeof Hls, 'Events' | 'ErrorTypes' | 'ErrorDetails'>
  readonly #options: HlsPlaybackOptions
  readonly #prefetch: FirstSegmentPrefetch | null
  #recoveredAt: number | null = null
  #playing: number | null = null

  /** @returns `null` where there is no MediaSource */
  static async start(options: HlsPlaybackOptions): Promise<HlsPlayback | null> {
    const prefetch = FirstSegmentPrefetch.of(options.film, options.connection)
    try {
      const { default: Hls } = await import('hls.js')
      if (Hls.isSupported()) return new HlsPlayback(Hls, options, prefetch)
    } catch (error) {
      prefetch?.close()
      throw error
    }
    prefetch?.close()
    return null
  }

  private constructor(HlsClass: typeof Hls, options: HlsPlaybackOptions, prefetch: FirstSegmentPrefetch | null) {
    this.#prefetch = prefetch
    const { Events } = HlsClass
    const { element, emit } = options
    this.#options = options
    this.#names = HlsClass
    this.#hls = new HlsClass({
      ...hlsConfig(options.options),
      pLoader: playlistLoader(options),
      fLoader: trackLoader({ ...options, prefetch }),
    })
    const emitQualities = (): void => emit('qualities', this.qualities)
    const emitTracks = (): void => emit('tracks', { audioTracks: this.audioTracks, subtitles: this.subtitles })
    this.#hls.on(Events.MANIFEST_PARSED, () => {
      const { quality = 'auto' } = options.options
      // The last quality stands for all that do not exist.
      if (quality !== 'auto') this.#hls.loadLevel = Math.max(0, this.#place(quality))
      emitQualities()
    })
    this.#hls.on(Events.LEVELS_UPDATED, emitQualities)
    this.#hls.on(Events.LEVEL_SWITCHED, (_, { level }) => {
      this.#playing = this.#place(level)
      emit('quality', this.#playing)
    })
    this.#hls.on(Events.AUDIO_TRACKS_UPDATED, emitTracks)
    this.#hls.on(Events.SUBTITLE_TRACKS_UPDATED, emitTracks)
    this.#hls.on(Events.ERROR, (_, data) => this.#onError(data))
    this.#hls.attachMedia(element)
    this.#hls.loadSource(MASTER_URL)
  }

  get qualities(): readonly Quality[] {
    return this.#hls.levels.map(toQuality).toReversed()
  }

  get quality(): number | 'auto' {
    const { manualLevel } = this.#hls
    return manualLevel < 0 ? 'auto' : this.#place(manualLevel)
  }

  /** From the next segment on, without a break. */
  set quality(quality: number | 'auto') {
    this.#hls.nextLevel = quality === 'auto' ? -1 : this.#level(quality)
  }

  get playingQuality(): number | null {
    return this.#playing
  }

  get audioTracks(): readonly TrackChoice[] {
    return this.#hls.audioTracks.map(toChoice)
  }

  get audioTrack(): number {
    return this.#hls.audioTrack
  }

  set audioTrack(index: number) {
    this.#hls.audioTrack = inside(index, this.#hls.audioTracks.length)
  }

  get subtitles(): readonly TrackChoice[] {
    return this.#hls.subtitleTracks.map(toChoice)
  }

  get subtitle(): number | null {
    const { subtitleTrack } = this.#hls
    return subtitleTrack < 0 ? null : subtitleTrack
  }

  set subtitle(index: number | null) {
    this.#hls.subtitleTrack = index === null ? -1 : inside(index, this.#hls.subtitleTracks.length)
  }

  /** Nothing more is loaded; what lies unbroken ahead of the position stays, and what is beyond a gap goes. */
  stop(): void {
    this.#prefetch?.close()
    this.#hls.stopLoad()
    const { buffered, currentTime } = this.#options.element
    for (let index = 0; index < buffered.length; index += 1) {
      if (buffered.start(index) > currentTime) {
        const flushed = { startOffset: buffered.start(index), endOffset: Number.POSITIVE_INFINITY, type: null }
        this.#hls.trigger(this.#names.Events.BUFFER_FLUSHING, flushed)
        return
      }
    }
  }

  close(): void {
    this.#prefetch?.close()
    this.#hls.destroy()
  }

  #onError(data: ErrorData): void {
    if (!data.fatal) return
    if (data.details === this.#names.ErrorDetails.MANIFEST_INCOMPATIBLE_CODECS_ERROR) {
      return this.#options.fail(
        new PlayerError('not_playable', 'This browser cannot decode this film', { cause: data.error }),
      )
    }
    const now = performance.now()
    const again = this.#recoveredAt !== null && now - this.#recoveredAt < RECOVERY_MS
    if (data.type !== this.#names.ErrorTypes.MEDIA_ERROR || again) {
      return this.#options.fail(
        new PlayerError('not_playable', 'This browser cannot play this film', { cause: data.error }),
      )
    }
    this.#recoveredAt = now
    this.#hls.recoverMediaError()
  }

  #level(quality: number): number {
    return this.#place(inside(quality, this.#hls.levels.length))
  }

  #place(level: number): number {
    return this.#hls.levels.length - 1 - level
  }
}

/** @throws RangeError */
function inside(index: number, length: number): number {
  if (Number.isInteger(index) && index >= 0 && index < length) return index
  throw new RangeError(`There are ${length} to choose from, counted from 0`)
}

function toQuality({ width, height, bitrate }: Level): Quality {
  return { width: width || null, height: height || null, bandwidth: bitrate }
}

function toChoice({ name, lang }: { readonly name: string; readonly lang?: string | undefined }): TrackChoice {
  return { name, language: lang ?? null }
}

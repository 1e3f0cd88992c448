import type { Loader, LoaderCallbacks, LoaderConfiguration, LoaderContext, PlaylistLoaderContext } from 'hls.js'

import { masterPlaylist, mediaPlaylist, subtitlesPlaylist, trackSeconds, type PlaylistNames } from '../playlists.ts'
import type { GrowingFilm, TrackReference } from './growing-film.ts'
import { freshStats, LoadTiming } from './load-timing.ts'

export interface PlaylistLoading {
  readonly film: GrowingFilm
  /** Gets a description that no player can follow. */
  readonly fail: (error: unknown) => void
}

type LoaderClass<Context extends LoaderContext> = new (config: object) => Loader<Context>

/** Loaders of playlists that are made from the description in memory. */
export function playlistLoader({ film, fail }: PlaylistLoading): LoaderClass<PlaylistLoaderContext> {
  return class implements Loader<PlaylistLoaderContext> {
    context: PlaylistLoaderContext | null = null
    readonly stats = freshStats()
    readonly #stop = new AbortController()

    load(
      context: PlaylistLoaderContext,
      _: LoaderConfiguration,
      callbacks: LoaderCallbacks<PlaylistLoaderContext>,
    ): void {
      this.context = context
      this.#respond(context, callbacks).catch((error: unknown) => {
        if (!this.#stop.signal.aborted) fail(error)
      })
    }

    abort(): void {
      this.stats.aborted = true
      this.#stop.abort()
    }

    destroy(): void {
      this.#stop.abort()
      this.context = null
    }

    async #respond(
      context: PlaylistLoaderContext,
      { onSuccess }: LoaderCallbacks<PlaylistLoaderContext>,
    ): Promise<void> {
      await this.#grown(context.url)
      if (this.#stop.signal.aborted) return
      const timing = new LoadTiming(this.stats)
      timing.start()
      const data = playlistText(film, context.url)
      timing.fetched(data.length)
      timing.end()
      onSuccess({ url: context.url, data, code: 200 }, this.stats, context, null)
    }

    /** Always asynchronous: hls.js expects no response before `load` returns. */
    async #grown(url: string): Promise<void> {
      const reference = parseTrackUrl(url)
      const segment = awaitedSegment(url)
      if (reference && segment !== null) await film.untilSegment(reference, segment, this.#stop.signal)
    }
  }
}

/** hls.js resolves and compares URLs. This host cannot exist (RFC 6761), and no request goes to it. */
const BASE = 'https://film.invalid/'

/** Of the master playlist. */
export const MASTER_URL = `${BASE}film.m3u8`

/** URLs of media playlists, relative to the master playlist. */
const playlistNames: PlaylistNames = {
  rendition: index => `rendition/${index}.m3u8`,
  audio: index => `audio/${index}.m3u8`,
  subtitles: index => `subtitles/${index}.m3u8`,
}

/** URL of a track's file, relative to its media playlist. */
const trackUri = ({ index }: TrackReference): string => `${index}.track`

/** What a URL stands for; `null` for the master playlist and for other URLs. */
export function parseTrackUrl(url: string): TrackReference | null {
  const { pathname } = new URL(url)
  const match = /^\/(?<kind>rendition|audio|subtitles)\/(?<index>\d+)\./.exec(pathname)
  const { kind, index } = match?.groups ?? {}
  if (kind !== 'rendition' && kind !== 'audio' && kind !== 'subtitles') return null
  return { kind, index: Number(index) }
}

/** The number of the segment that a blocking request for a playlist waits for; `null` when it waits for none. */
function awaitedSegment(url: string): number | null {
  const value = new URL(url).searchParams.get('_HLS_msn')
  return value === null ? null : Number(value)
}

/**
 * Lets hls.js request a playlist with `_HLS_msn`, and receive it as soon as that segment is there, instead of polling
 * it every few seconds.
 */
const BLOCKING = '#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES'

/** A playlist of the film's current description. @throws damaged_media when the description contradicts itself */
function playlistText(film: GrowingFilm, url: string): string {
  const reference = parseTrackUrl(url)
  if (!reference) return masterPlaylist(film.film.description, playlistNames)
  return reference.kind === 'subtitles' ? subtitlesText(film, reference) : trackText(film, reference)
}

function trackText(film: GrowingFilm, reference: TrackReference): string {
  const track = film.track(reference)
  if (!track) throw new RangeError('There is no such track')
  const { hasGrown, targetSeconds } = film
  const state = film.sending ? 'sending' : 'complete'
  const text = mediaPlaylist(track, { uri: trackUri(reference), state, hasGrown, targetSeconds })
  return state === 'sending' ? text.replace('#EXTM3U', `#EXTM3U\n${BLOCKING}`) : text
}

function subtitlesText(film: GrowingFilm, reference: TrackReference): string {
  const { seconds, renditions } = film.film.description
  const known = seconds ?? Math.max(...renditions.map(trackSeconds))
  return subtitlesPlaylist({ uri: trackUri(reference), seconds: known })
}

import type { FragmentLoaderContext, Loader, LoaderCallbacks, LoaderConfiguration } from 'hls.js'

import type { Film, FilmReadOptions } from '../../client/index.ts'
import { parseTrackUrl } from './playlist-loader.ts'
import type { GrowingFilm } from './growing-film.ts'
import type { FirstSegmentPrefetch } from './first-segment-prefetch.ts'
import type { ConnectionStatus } from './connection-status.ts'
import { freshStats, LoadTiming } from './load-timing.ts'

/** What the loaders of one player share. */
export interface TrackLoading {
  readonly film: GrowingFilm
  readonly connection: ConnectionStatus
  /** Begun before hls.js requested anything. */
  readonly prefetch?: FirstSegmentPrefetch | null
  /** Gets an error that ends the playing, and all loaders. */
  readonly fail: (error: unknown) => void
  /** Gets the error of subtitles that could not be loaded; the film goes on. */
  readonly withoutSubtitles: (error: unknown) => void
}

/**
 * Loaders of byte ranges of a film's plaintext. hls.js gets no failure that could be retried: the client retries, the
 * connection status waits for the network, and a permanent failure ends the playing.
 */
export function trackLoader(loading: TrackLoading): new (config: object) => Loader<FragmentLoaderContext> {
  return class implements Loader<FragmentLoaderContext> {
    context: FragmentLoaderContext | null = null
    readonly stats = freshStats()
    readonly #stop = new AbortController()
    #callbacks: LoaderCallbacks<FragmentLoaderContext> | null = null

    load(
      context: FragmentLoaderContext,
      { highWaterMark }: LoaderConfiguration,
      callbacks: LoaderCallbacks<FragmentLoaderContext>,
    ): void {
      this.context = context
      this.#callbacks = callbacks
      const { onProgress } = callbacks
      const isAtOnce = !onProgress || highWaterMark === Number.POSITIVE_INFINITY
      void this.#respond(context, isAtOnce ? null : bytes => onProgress(this.stats, context, bytes, null))
    }

    abort(): void {
      const { context } = this
      if (this.#ended() || !context) return
      this.#stop.abort()
      this.stats.aborted = true
      this.#callbacks?.onAbort?.(this.stats, context, null)
    }

    destroy(): void {
      this.#stop.abort()
      this.#callbacks = null
      this.context = null
    }

    /** @param give gets the bytes as they come; without it, they are the response's data */
    async #respond(context: FragmentLoaderContext, give: ((bytes: ArrayBuffer) => void) | null): Promise<void> {
      const timing = new LoadTiming(this.stats)
      timing.start()
      try {
        const bytes = await this.#read(context, timing, give)
        if (this.#ended()) return
        timing.end()
        const data = give ? new ArrayBuffer(0) : bytes
        this.#callbacks?.onSuccess({ url: context.url, data, code: 200 }, this.stats, context, null)
      } catch (error) {
        if (!this.#ended()) this.#failed(error, context)
      }
    }

    #failed(error: unknown, context: FragmentLoaderContext): void {
      if (parseTrackUrl(context.url)?.kind !== 'subtitles') return loading.fail(error)
      loading.withoutSubtitles(error)
      const text = 'The subtitles could not be read'
      this.#callbacks?.onError({ code: 404, text }, context, null, this.stats)
    }

    /** hls.js no longer expects a response. */
    #ended(): boolean {
      return this.#stop.signal.aborted
    }

    /** hls.js owns the returned buffer and may transfer it to another thread. */
    async #read(
      context: FragmentLoaderContext,
      timing: LoadTiming,
      give: ((bytes: ArrayBuffer) => void) | null,
    ): Promise<ArrayBuffer> {
      const prefetched = readPrefetched(loading, context, {
        onBytes: give && (bytes => give(bytes.buffer)),
        signal: this.#stop.signal,
      })
      if (prefetched) return (await prefetched).buffer
      let given = 0
      const bytes = await loading.connection.run(this.#stop.signal, options =>
        readRange(loading.film, context, {
          ...options,
          ...(give && {
            onBytes: fresh => {
              // A retried read yields the same bytes again: they are authentic.
              const from = given - fresh.byteOffset
              if (this.#ended() || from >= fresh.byteLength) return
              given = fresh.byteOffset + fresh.byteLength
              give(fresh.slice(Math.max(0, from)).buffer)
            },
          }),
          onFetched: count => {
            options.onFetched(count)
            timing.fetched(count)
          },
        }),
      )
      return bytes.buffer
    }
  }
}

function readPrefetched(
  { prefetch }: TrackLoading,
  { url, rangeStart = 0, rangeEnd = 0 }: FragmentLoaderContext,
  how: Parameters<FirstSegmentPrefetch['read']>[2],
): ReturnType<FirstSegmentPrefetch['read']> {
  const address = parseTrackUrl(url)
  return (address && prefetch?.read(address, { start: rangeStart, end: rangeEnd }, how)) ?? null
}

function readRange(
  growing: GrowingFilm,
  { url, rangeStart = 0, rangeEnd = 0 }: FragmentLoaderContext,
  options: FilmReadOptions,
): ReturnType<Film['read']> {
  const address = parseTrackUrl(url)
  const subtitles = address?.kind === 'subtitles' ? growing.subtitles(address.index) : null
  if (subtitles) return growing.film.readWhole(subtitles.media, options)
  const track = address && growing.track(address)
  if (!track) throw new RangeError('There is no such track')
  return growing.film.read(track, { start: rangeStart, end: rangeEnd }, options)
}

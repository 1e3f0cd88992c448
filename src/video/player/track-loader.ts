import type { FragmentLoaderContext, Loader, LoaderCallbacks, LoaderConfiguration } from 'hls.js'

import type { Film, FilmReadOptions } from '../../client/index.ts'
import { parseAddress } from './film-addresses.ts'
import type { GrowingFilm } from './growing-film.ts'
import type { Line } from './line.ts'
import { freshStats, LoadTiming } from './load-timing.ts'

/** What the loaders of one player share. */
export interface TrackLoading {
  readonly film: GrowingFilm
  readonly line: Line
  /** The film cannot be gone on with. Ends all loaders. */
  readonly fail: (error: unknown) => void
  /** Subtitles could not be had; the film goes on. */
  readonly withoutSubtitles: (error: unknown) => void
}

/**
 * Loaders of byte ranges of a film's plaintext. hls.js never sees a failure that is worth another try: the client
 * repeats, the line waits, and what fails for good ends the playing, so that no layer repeats what another one has.
 */
export function trackLoader(loading: TrackLoading): new (config: object) => Loader<FragmentLoaderContext> {
  return class implements Loader<FragmentLoaderContext> {
    context: FragmentLoaderContext | null = null
    readonly stats = freshStats()
    readonly #stop = new AbortController()
    #callbacks: LoaderCallbacks<FragmentLoaderContext> | null = null

    load(
      context: FragmentLoaderContext,
      _: LoaderConfiguration,
      callbacks: LoaderCallbacks<FragmentLoaderContext>,
    ): void {
      this.context = context
      this.#callbacks = callbacks
      void this.#answer(context, callbacks)
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

    async #answer(context: FragmentLoaderContext, callbacks: LoaderCallbacks<FragmentLoaderContext>): Promise<void> {
      const timing = new LoadTiming(this.stats)
      timing.start()
      try {
        const data = await this.#read(context, timing)
        if (this.#ended()) return
        timing.end()
        callbacks.onSuccess({ url: context.url, data, code: 200 }, this.stats, context, null)
      } catch (error) {
        if (!this.#ended()) this.#failed(error, context, callbacks)
      }
    }

    #failed(error: unknown, context: FragmentLoaderContext, callbacks: LoaderCallbacks<FragmentLoaderContext>): void {
      if (parseAddress(context.url)?.kind !== 'subtitles') return loading.fail(error)
      loading.withoutSubtitles(error)
      callbacks.onError({ code: 404, text: 'The subtitles could not be read' }, context, null, this.stats)
    }

    /** Whether nobody waits for an answer any more. */
    #ended(): boolean {
      return this.#stop.signal.aborted
    }

    /** The buffer is hls.js' own from then on: it hands it to another thread. */
    async #read(context: FragmentLoaderContext, timing: LoadTiming): Promise<ArrayBuffer> {
      const bytes = await loading.line.run(this.#stop.signal, options =>
        readRange(loading.film, context, {
          ...options,
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

function readRange(
  growing: GrowingFilm,
  { url, rangeStart = 0, rangeEnd = 0 }: FragmentLoaderContext,
  options: FilmReadOptions,
): ReturnType<Film['read']> {
  const address = parseAddress(url)
  const subtitles = address?.kind === 'subtitles' ? growing.subtitles(address.index) : null
  if (subtitles) return growing.film.readWhole(subtitles.media, options)
  const track = address && growing.track(address)
  if (!track) throw new RangeError('There is no such track')
  return growing.film.read(track, { start: rangeStart, end: rangeEnd }, options)
}

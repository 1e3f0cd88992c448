import type { Loader, LoaderCallbacks, LoaderConfiguration, LoaderContext, PlaylistLoaderContext } from 'hls.js'

import { awaitedSegment, parseAddress } from './film-addresses.ts'
import type { GrowingFilm } from './growing-film.ts'
import { freshStats, LoadTiming } from './load-timing.ts'
import { playlistText } from './memory-playlists.ts'

/** What the loaders of one player share. */
export interface PlaylistLoading {
  readonly film: GrowingFilm
  /** Told of a description that no player can follow. */
  readonly fail: (error: unknown) => void
}

type LoaderClass<Context extends LoaderContext> = new (config: object) => Loader<Context>

/** Loaders of playlists that are made from memory; one that grows is answered when it has grown. */
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
      this.#answer(context, callbacks).catch((error: unknown) => {
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

    async #answer(
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

    /** hls.js expects no answer before `load` returns, so this is a promise in any case. */
    async #grown(url: string): Promise<void> {
      const address = parseAddress(url)
      const segment = awaitedSegment(url)
      if (address && segment !== null) await film.untilSegment(address, segment, this.#stop.signal)
    }
  }
}

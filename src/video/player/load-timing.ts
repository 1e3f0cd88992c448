import type { LoaderStats } from 'hls.js'

/** The clock that hls.js goes by: milliseconds. */
export type Now = () => number

/** Figures of a load that has not begun, as hls.js keeps them. */
export function freshStats(): LoaderStats {
  return {
    aborted: false,
    loaded: 0,
    retry: 0,
    total: 0,
    chunkCount: 0,
    bwEstimate: 0,
    loading: { start: 0, first: 0, end: 0 },
    parsing: { start: 0, end: 0 },
    buffering: { start: 0, first: 0, end: 0 },
  }
}

/**
 * Keeps the figures by which hls.js judges the line. It divides `loaded` by the time of the load, so only what came
 * over the network counts: a segment that was at hand says nothing of the line, and zero bytes are not counted at all.
 * The first byte is taken to come at once: when it came is not known, and taking the first chunk for it would make
 * the line look faster than it is.
 */
export class LoadTiming {
  readonly #stats: LoaderStats
  readonly #now: Now

  constructor(stats: LoaderStats, now: Now = () => performance.now()) {
    this.#stats = stats
    this.#now = now
  }

  start(): void {
    this.#stats.loading.start = this.#now()
  }

  /** More has come over the network. */
  fetched(bytes: number): void {
    this.#stats.loading.first ||= this.#stats.loading.start
    this.#stats.loaded += bytes
  }

  end(): void {
    const { loading } = this.#stats
    loading.first ||= loading.start
    loading.end = this.#now()
    this.#stats.total = this.#stats.loaded
  }
}

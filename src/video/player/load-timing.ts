import type { LoaderStats } from 'hls.js'

/** The clock of hls.js: milliseconds. */
export type Now = () => number

/** Figures of a load that has not begun, in the form of hls.js. */
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
 * The figures by which hls.js estimates the bandwidth. It divides `loaded` by the time of the load, so only bytes from
 * the network count: a cached segment says nothing about the bandwidth, and zero bytes are ignored. The time of the
 * first byte is not known and taken as the start; taking the first chunk instead would overestimate the bandwidth.
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

  /** More bytes have come over the network. */
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

import pLimit from 'p-limit'

/** Two keep a slow connection busy: one is sent while the response to the other is in flight. */
const FIRST_IN_FLIGHT = 2
const MOST_IN_FLIGHT = 64
/** A connection on which a part takes less than this has bandwidth for one more. */
const QUICK_MS = 400

/**
 * Limits the parts in flight of a media item that receivers watch while it is sent. Parts in flight share the
 * bandwidth, so each one delays the part that receivers wait for; yet too few leave a fast connection with a long delay
 * idle.
 */
export class AdaptiveConcurrency {
  readonly #limit = pLimit(FIRST_IN_FLIGHT)

  /** Waits for a slot, then runs `work`, which sends one part. */
  send<T>(work: () => Promise<T>): Promise<T> {
    return this.#limit(async () => {
      const beganMs = performance.now()
      const result = await work()
      const isQuick = performance.now() - beganMs < QUICK_MS
      if (isQuick && this.#limit.concurrency < MOST_IN_FLIGHT) this.#limit.concurrency += 1
      return result
    })
  }
}

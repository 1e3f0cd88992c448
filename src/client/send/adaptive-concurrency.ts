import pLimit from 'p-limit'

/** Two keep a slow line busy: one travels while the answer for the other is on its way. */
const FIRST_IN_FLIGHT = 2
const MOST_IN_FLIGHT = 64
/** A line on which a part arrives sooner than this has room for one more. */
const QUICK_MS = 400

/**
 * How many parts of a media that is being watched travel at once. All that travel share the line, so each one more
 * delays the one that receivers wait for; yet on a fast line with a long delay, few of them would leave it idle.
 */
export class AdaptiveConcurrency {
  readonly #limit = pLimit(FIRST_IN_FLIGHT)

  /** Waits for its turn, then does `work`, which sends one part. */
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

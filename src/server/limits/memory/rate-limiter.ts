/** Request and byte rates of one node. Bounded memory: a full bucket is as good as none, so it is forgotten. */
import { gcraCharge, gcraTake } from './gcra.ts'
import type { Rate, RateLimiter, Take } from '../limiter.ts'

export interface MemoryRateLimiterOptions {
  /** Monotonic ms. */
  readonly now?: () => number
  /** Buckets kept at once. Above it the one that was used longest ago is forgotten, full or not. */
  readonly maxKeys?: number
}

/** Buckets looked at for each one that is added: more than one, so that full ones go faster than new ones come. */
const LOOK_AT = 4

export class MemoryRateLimiter implements RateLimiter {
  /** In order of last use: `fullAt` by key. */
  readonly #buckets = new Map<string, number>()
  /** The bucket used last: it is where it belongs. */
  #latest: string | null = null
  readonly #now: () => number
  readonly #maxKeys: number

  constructor(options: MemoryRateLimiterOptions = {}) {
    this.#now = options.now ?? (() => performance.now())
    this.#maxKeys = options.maxKeys ?? 100_000
  }

  get size(): number {
    return this.#buckets.size
  }

  take(key: string, cost: number, rate: Rate): Take {
    if (rate.perSecond === 0) return { ok: true }
    const now = this.#now()
    const taken = gcraTake(this.#buckets.get(key) ?? 0, now, cost, rate)
    if (!taken.ok) return { ok: false, retryAfterMs: taken.waitMs }
    this.#remember(key, taken.fullAt, now)
    return { ok: true }
  }

  charge(key: string, cost: number, rate: Rate): number {
    if (rate.perSecond === 0) return 0
    const now = this.#now()
    const taken = gcraCharge(this.#buckets.get(key) ?? 0, now, cost, rate)
    this.#remember(key, taken.fullAt, now)
    return taken.waitMs
  }

  #remember(key: string, fullAt: number, now: number): void {
    const inPlace = key === this.#latest
    if (!inPlace) this.#buckets.delete(key)
    this.#buckets.set(key, fullAt)
    this.#latest = key
    if (!inPlace) this.#forgetSome(now)
  }

  #forgetSome(now: number): void {
    let looked = 0
    for (const [key, fullAt] of this.#buckets) {
      if (looked >= LOOK_AT) return
      looked += 1
      if (fullAt <= now || this.#buckets.size > this.#maxKeys) this.#buckets.delete(key)
      else return
    }
  }
}

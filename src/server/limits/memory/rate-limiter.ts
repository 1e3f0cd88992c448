/** Request and byte rates of one node. Memory is bounded: a full bucket equals none, so it is dropped. */
import type { Rate, RateLimiter, Take } from '../limiter.ts'

export interface MemoryRateLimiterOptions {
  /** Monotonic ms. */
  readonly now?: () => number
  /** Most buckets at once. Beyond it the least recently used one is dropped, full or not. */
  readonly maxKeys?: number
}

/** Buckets inspected per added one: more than one, so that full ones are dropped faster than new ones come. */
const INSPECTED_PER_INSERT = 4

export class MemoryRateLimiter implements RateLimiter {
  /** `fullAt` by key, least recently used first. */
  readonly #buckets = new Map<string, number>()
  /** The most recently used bucket: it is at the end of the map, so its use need not move it. */
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
    this.#store(key, taken.fullAt, now)
    return { ok: true }
  }

  charge(key: string, cost: number, rate: Rate): number {
    if (rate.perSecond === 0) return 0
    const now = this.#now()
    const taken = gcraCharge(this.#buckets.get(key) ?? 0, now, cost, rate)
    this.#store(key, taken.fullAt, now)
    return taken.waitMs
  }

  #store(key: string, fullAt: number, now: number): void {
    const isLatest = key === this.#latest
    if (!isLatest) this.#buckets.delete(key)
    this.#buckets.set(key, fullAt)
    this.#latest = key
    if (!isLatest) this.#dropFull(now)
  }

  #dropFull(now: number): void {
    let inspected = 0
    for (const [key, fullAt] of this.#buckets) {
      if (inspected >= INSPECTED_PER_INSERT) return
      inspected += 1
      if (fullAt <= now || this.#buckets.size > this.#maxKeys) this.#buckets.delete(key)
      else return
    }
  }
}

/**
 * The generic cell rate algorithm: a token bucket that needs one number. `fullAt` is the time (monotonic ms) at which
 * the bucket is full again; in the past: it is full now.
 */
export interface GcraResult {
  readonly ok: boolean
  readonly fullAt: number
  /** Refused: until `cost` is available. Charged: how long to pause. */
  readonly waitMs: number
}

/** Takes `cost` if it is available. A cost above the burst counts as the burst, so that it is possible at all. */
export function gcraTake(fullAt: number, now: number, cost: number, rate: Rate): GcraResult {
  const owed = gcraCharge(fullAt, now, Math.min(cost, rate.burst), rate)
  return owed.waitMs > TOLERANCE_MS ? { ok: false, fullAt, waitMs: owed.waitMs } : owed
}

/** Rounding of a long sum of fractions must not refuse what is available. */
const TOLERANCE_MS = 1e-6

/** Takes `cost` in any case; a pause of `waitMs` pays back what was missing. */
export function gcraCharge(fullAt: number, now: number, cost: number, { perSecond, burst }: Rate): GcraResult {
  const msPerUnit = 1000 / perSecond
  const next = Math.max(fullAt, now) + cost * msPerUnit
  return { ok: true, fullAt: next, waitMs: Math.max(0, next - now - burst * msPerUnit) }
}

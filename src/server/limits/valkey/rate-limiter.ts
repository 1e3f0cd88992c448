/**
 * Request and byte rates of all nodes together, counted in Valkey: see rate-script.ts for the arithmetic.
 *
 * [Note: credit] A node takes about a tenth of a second's worth in advance, as credit, and serves later calls from it
 * in the same turn. Credit is taken before it is used, so the rate is never exceeded; unused credit is refunded soon.
 * Requests are credited only while the bucket is more than half full: near the limit each one is counted.
 *
 * While Valkey is away, each node limits to its share in its own memory: the rate divided by the known nodes.
 */
import { raceAbort } from '../../../common/abort-race.ts'
import { ScriptBatch } from '../../cluster/script-batch.ts'
import type { ClusterNode } from '../../cluster/cluster-node.ts'
import { hashedKey } from '../../cluster/valkey-link.ts'
import type { Rate, RateLimiter, Take } from '../limiter.ts'
import { MemoryRateLimiter } from '../memory/rate-limiter.ts'
import { RATES } from './rate-script.ts'

export interface ValkeyRateLimiterOptions {
  readonly node: ClusterNode
  /** Credit of all nodes together, in ms of the rate. Default 100. */
  readonly creditMs?: number
  /** Most buckets at once. Beyond it the least recently used one is dropped. Default 100000. */
  readonly maxKeys?: number
}

/** The caller owns `node`, and disposes of it after the limiter. */
export function createValkeyRateLimiter(options: ValkeyRateLimiterOptions): RateLimiter & AsyncDisposable {
  return new RateLimiterInValkey(options)
}

/** Credit is refunded after this long without use. */
const UNUSED_MS = 250
/** Precision of the order of use: moving a bucket within the map costs more than the rest of a take. */
const ORDER_MS = 50

interface RateCommand {
  readonly kind: 'take' | 'charge' | 'refund'
  readonly key: string
  readonly cost: number
  /** Credit asked for. */
  readonly credit: number
  readonly rate: Rate
}

interface RateReply {
  readonly ok: boolean
  readonly credit: number
  readonly waitMs: number
}

/** A bucket as this node knows it. */
interface Bucket {
  readonly key: string
  readonly hashedKey: string
  /** Below 0: used, and not charged yet. */
  credit: number
  /** Monotonic ms. */
  resumeAt: number
  rate: Rate
  usedAt: number
  /** When it was moved to the end of the map. */
  movedAt: number
  fetching: Promise<void> | null
}

const TAKEN: Take = { ok: true }

class RateLimiterInValkey implements RateLimiter, AsyncDisposable {
  readonly #node: ClusterNode
  readonly #creditMs: number
  readonly #maxKeys: number
  readonly #batch = new ScriptBatch<RateCommand, RateReply>({ send: commands => this.#send(commands) })
  /** Least recently used first, to within ORDER_MS. */
  readonly #buckets = new Map<string, Bucket>()
  readonly #timer: NodeJS.Timeout
  readonly #watch: Disposable
  #fallback = new MemoryRateLimiter()

  constructor({ node, creditMs = 100, maxKeys = 100_000 }: ValkeyRateLimiterOptions) {
    this.#node = node
    this.#creditMs = creditMs
    this.#maxKeys = maxKeys
    this.#timer = setInterval(() => this.#refundUnused(performance.now() - UNUSED_MS), UNUSED_MS).unref()
    this.#watch = node.watch({
      disconnected: () => this.#buckets.clear(),
      joined: () => {
        this.#fallback = new MemoryRateLimiter()
      },
    })
  }

  take(key: string, cost: number, rate: Rate, signal?: AbortSignal): Take | Promise<Take> {
    if (rate.perSecond === 0) return TAKEN
    if (this.#node.phase !== 'joined') return this.#fallback.take(key, cost, this.#share(rate))
    const bucket = this.#bucket(key, rate)
    if (bucket.credit < cost) return abortable(this.#takeShared(bucket, cost), signal)
    bucket.credit -= cost
    if (bucket.credit < this.#creditLimit(rate) / 2) bucket.fetching ??= this.#settled(bucket, this.#takeCredit(bucket))
    return TAKEN
  }

  charge(key: string, cost: number, rate: Rate, signal?: AbortSignal): number | Promise<number> {
    if (rate.perSecond === 0) return 0
    if (this.#node.phase !== 'joined') return this.#fallback.charge(key, cost, this.#share(rate))
    const bucket = this.#bucket(key, rate)
    bucket.credit -= cost
    if (bucket.credit < 0) return abortable(this.#payDebt(bucket), signal)
    return Math.max(0, bucket.resumeAt - performance.now())
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer)
    this.#watch[Symbol.dispose]()
    if (this.#node.phase === 'joined') this.#refundUnused(Infinity)
    await this.#batch.idle()
  }

  async #takeShared(bucket: Bucket, cost: number): Promise<Take> {
    // Of simultaneous calls only one asks for credit.
    const credit = bucket.fetching ? 0 : Math.floor(this.#creditLimit(bucket.rate))
    const taking = this.#batch.ask({ kind: 'take', key: bucket.hashedKey, cost, credit, rate: bucket.rate })
    bucket.fetching ??= this.#settled(bucket, taking)
    try {
      const reply = await taking
      bucket.credit += reply.credit
      return reply.ok ? TAKEN : { ok: false, retryAfterMs: reply.waitMs }
    } catch {
      return this.#fallback.take(bucket.key, cost, this.#share(bucket.rate))
    }
  }

  async #takeCredit(bucket: Bucket): Promise<void> {
    const { hashedKey: key, rate } = bucket
    const credit = Math.floor(this.#creditLimit(rate))
    bucket.credit += (await this.#batch.ask({ kind: 'take', key, cost: 0, credit, rate })).credit
  }

  /** Charges what was used; resolves with the pause that it costs. */
  async #payDebt(bucket: Bucket): Promise<number> {
    while (bucket.credit < 0) {
      bucket.fetching ??= this.#settled(bucket, this.#charge(bucket))
      await bucket.fetching
    }
    return Math.max(0, bucket.resumeAt - performance.now())
  }

  async #charge(bucket: Bucket): Promise<void> {
    const { key, rate } = bucket
    const cost = -bucket.credit
    const credit = Math.ceil(this.#creditLimit(rate))
    let waitMs: number
    try {
      const reply = await this.#batch.ask({ kind: 'charge', key: bucket.hashedKey, cost, credit, rate })
      bucket.credit += cost + reply.credit
      waitMs = reply.waitMs
    } catch {
      bucket.credit += cost
      waitMs = this.#fallback.charge(key, cost, this.#share(rate))
    }
    bucket.resumeAt = Math.max(bucket.resumeAt, performance.now() + waitMs)
  }

  async #settled(bucket: Bucket, fetching: Promise<unknown>): Promise<void> {
    try {
      await fetching
    } catch {
      // The callers fall back.
    } finally {
      bucket.fetching = null
    }
  }

  #bucket(key: string, rate: Rate): Bucket {
    const now = performance.now()
    const bucket = this.#buckets.get(key) ?? this.#newBucket(key, rate)
    bucket.rate = rate
    bucket.usedAt = now
    if (now - bucket.movedAt > ORDER_MS) {
      bucket.movedAt = now
      this.#buckets.delete(key)
      this.#buckets.set(key, bucket)
    }
    return bucket
  }

  #newBucket(key: string, rate: Rate): Bucket {
    if (this.#buckets.size >= this.#maxKeys) this.#dropOldest()
    const now = performance.now()
    const times = { resumeAt: 0, usedAt: now, movedAt: now }
    const bucket: Bucket = { key, hashedKey: hashedKey(key), credit: 0, rate, fetching: null, ...times }
    this.#buckets.set(key, bucket)
    return bucket
  }

  #dropOldest(): void {
    for (const bucket of this.#buckets.values()) return this.#refund(bucket)
  }

  #refundUnused(unusedSince: number): void {
    for (const bucket of this.#buckets.values()) {
      if (bucket.movedAt > unusedSince) return
      if (bucket.usedAt > unusedSince) continue
      if (bucket.fetching === null && bucket.resumeAt < performance.now()) this.#refund(bucket)
    }
  }

  #refund({ key, hashedKey: hashed, credit, rate }: Bucket): void {
    this.#buckets.delete(key)
    if (credit <= 0 || this.#node.phase !== 'joined') return
    this.#batch.ask({ kind: 'refund', key: hashed, cost: credit, credit: 0, rate }).catch(() => undefined)
  }

  /** The share of this node; of all nodes together at most a quarter of the burst. */
  #creditLimit({ perSecond, burst }: Rate): number {
    return Math.min((perSecond * this.#creditMs) / 1000, burst / 4) / this.#node.nodes
  }

  #share({ perSecond, burst }: Rate): Rate {
    const { nodes } = this.#node
    return { perSecond: perSecond / nodes, burst: Math.max(1, burst / nodes) }
  }

  async #send(commands: readonly RateCommand[]): Promise<readonly RateReply[]> {
    const { link } = this.#node
    const keys = commands.map(({ key }) => `${link.prefix}rate:${key}`)
    const args = commands.flatMap(({ kind, cost, credit, rate }) =>
      [kind, cost, credit, rate.perSecond, rate.burst].map(value => String(value)),
    )
    const flat = (await link.run(RATES, keys, args)) as number[]
    return commands.map((_, index) => {
      const [ok = 0, credit = 0, waitUs = 0] = flat.slice(3 * index, 3 * index + 3)
      return { ok: ok === 1, credit, waitMs: waitUs / 1000 }
    })
  }
}

function abortable<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  return signal ? raceAbort(work, signal) : work
}

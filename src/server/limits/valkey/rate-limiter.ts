/**
 * Request and byte rates of all nodes together, counted in Valkey: see rate-script.ts for the arithmetic.
 *
 * [Note: ahead] A node takes a little more than it needs, about a tenth of a second's worth, and serves what comes next
 * from that in the same turn. It is taken before it is used, so the rate is never exceeded; what is not used is given
 * back soon. Requests are taken ahead only while the bucket is more than half full: near the limit each one is counted.
 *
 * While Valkey is away, each node keeps to its share in its own memory: the rate divided by the nodes there were.
 */
import { hiddenName } from '../../cluster/hashed-key.ts'
import { ScriptBatch } from '../../cluster/script-batch.ts'
import type { ClusterNode } from '../../cluster/cluster-node.ts'
import type { Rate, RateLimiter, Take } from '../limiter.ts'
import { MemoryRateLimiter } from '../memory/rate-limiter.ts'
import { RATES } from './rate-script.ts'

export interface ValkeyRateLimiterOptions {
  readonly node: ClusterNode
  /** How much is taken ahead, in ms of the rate. 100 when not told. */
  readonly aheadMs?: number
  /** Keys remembered at once. Above it the one that was used longest ago is forgotten. */
  readonly maxKeys?: number
}

/** The caller owns `node`, and disposes of it after the limiter. */
export function createValkeyRateLimiter(options: ValkeyRateLimiterOptions): RateLimiter & AsyncDisposable {
  return new RateLimiterInValkey(options)
}

/** What is left of what was taken ahead is given back after so long without use. */
const UNUSED_MS = 250
/** How old a bucket's place in the order of use may be: changing a map costs more than all the rest of a take. */
const PLACE_MS = 50

interface Ask {
  readonly kind: 'take' | 'charge' | 'refund'
  readonly key: string
  readonly cost: number
  readonly ahead: number
  readonly rate: Rate
}

interface Answer {
  readonly ok: boolean
  readonly ahead: number
  readonly waitMs: number
}

/** What this node knows of a key. */
interface Bucket {
  readonly key: string
  /** How Valkey knows it. */
  readonly name: string
  /** Taken ahead and not used; below 0: used, and not charged yet. */
  credit: number
  /** Before this time (monotonic ms) nothing more may move. */
  resumeAt: number
  rate: Rate
  usedAt: number
  /** When it came to its place among the others. */
  placedAt: number
  fetching: Promise<void> | null
}

const TAKEN: Take = { ok: true }

class RateLimiterInValkey implements RateLimiter, AsyncDisposable {
  readonly #node: ClusterNode
  readonly #aheadMs: number
  readonly #maxKeys: number
  readonly #batch = new ScriptBatch<Ask, Answer>({ send: asks => this.#send(asks) })
  /** In order of last use, to within PLACE_MS. */
  readonly #buckets = new Map<string, Bucket>()
  readonly #timer: NodeJS.Timeout
  readonly #watch: Disposable
  #alone = new MemoryRateLimiter()

  constructor({ node, aheadMs = 100, maxKeys = 100_000 }: ValkeyRateLimiterOptions) {
    this.#node = node
    this.#aheadMs = aheadMs
    this.#maxKeys = maxKeys
    this.#timer = setInterval(() => this.#giveBack(performance.now() - UNUSED_MS), UNUSED_MS).unref()
    this.#watch = node.watch({
      lost: () => this.#buckets.clear(),
      joined: () => {
        this.#alone = new MemoryRateLimiter()
      },
    })
  }

  take(key: string, cost: number, rate: Rate): Take | Promise<Take> {
    if (rate.perSecond === 0) return TAKEN
    if (this.#node.phase !== 'joined') return this.#alone.take(key, cost, this.#share(rate))
    const bucket = this.#bucket(key, rate)
    if (bucket.credit < cost) return this.#takeShared(bucket, cost)
    bucket.credit -= cost
    if (bucket.credit < this.#ahead(rate) / 2) bucket.fetching ??= this.#fetchAhead(bucket)
    return TAKEN
  }

  charge(key: string, cost: number, rate: Rate): number | Promise<number> {
    if (rate.perSecond === 0) return 0
    if (this.#node.phase !== 'joined') return this.#alone.charge(key, cost, this.#share(rate))
    const bucket = this.#bucket(key, rate)
    bucket.credit -= cost
    if (bucket.credit < 0) return this.#settle(bucket)
    return Math.max(0, bucket.resumeAt - performance.now())
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer)
    this.#watch[Symbol.dispose]()
    if (this.#node.phase === 'joined') this.#giveBack(Infinity)
    await this.#batch.idle()
  }

  async #takeShared(bucket: Bucket, cost: number): Promise<Take> {
    // One of many that ask at once brings what is taken ahead.
    const ahead = bucket.fetching ? 0 : Math.floor(this.#ahead(bucket.rate))
    const asking = this.#batch.ask({ kind: 'take', key: bucket.name, cost, ahead, rate: bucket.rate })
    bucket.fetching ??= this.#forget(bucket, asking)
    try {
      const answer = await asking
      bucket.credit += answer.ahead
      return answer.ok ? TAKEN : { ok: false, retryAfterMs: answer.waitMs }
    } catch {
      return this.#alone.take(bucket.key, cost, this.#share(bucket.rate))
    }
  }

  #fetchAhead(bucket: Bucket): Promise<void> {
    return this.#forget(bucket, this.#takeAhead(bucket))
  }

  async #takeAhead(bucket: Bucket): Promise<void> {
    const { name, rate } = bucket
    const ahead = Math.floor(this.#ahead(rate))
    bucket.credit += (await this.#batch.ask({ kind: 'take', key: name, cost: 0, ahead, rate })).ahead
  }

  /** Waits until what was used is paid for, and for as long as that takes the rate. */
  async #settle(bucket: Bucket): Promise<number> {
    while (bucket.credit < 0) {
      bucket.fetching ??= this.#forget(bucket, this.#charge(bucket))
      await bucket.fetching
    }
    return Math.max(0, bucket.resumeAt - performance.now())
  }

  async #charge(bucket: Bucket): Promise<void> {
    const { key, name, rate } = bucket
    const cost = -bucket.credit
    let waitMs: number
    try {
      const answer = await this.#batch.ask({
        kind: 'charge',
        key: name,
        cost,
        ahead: Math.ceil(this.#ahead(rate)),
        rate,
      })
      bucket.credit += cost + answer.ahead
      waitMs = answer.waitMs
    } catch {
      bucket.credit += cost
      waitMs = this.#alone.charge(key, cost, this.#share(rate))
    }
    bucket.resumeAt = Math.max(bucket.resumeAt, performance.now() + waitMs)
  }

  async #forget(bucket: Bucket, asking: Promise<unknown>): Promise<void> {
    try {
      await asking
    } catch {
      // Whoever needs an answer asks for one itself.
    } finally {
      bucket.fetching = null
    }
  }

  #bucket(key: string, rate: Rate): Bucket {
    const now = performance.now()
    const bucket = this.#buckets.get(key) ?? this.#newBucket(key, rate)
    bucket.rate = rate
    bucket.usedAt = now
    if (now - bucket.placedAt > PLACE_MS) {
      bucket.placedAt = now
      this.#buckets.delete(key)
      this.#buckets.set(key, bucket)
    }
    return bucket
  }

  #newBucket(key: string, rate: Rate): Bucket {
    if (this.#buckets.size >= this.#maxKeys) this.#forgetOldest()
    const now = performance.now()
    const made: Bucket = {
      key,
      name: hiddenName(key),
      credit: 0,
      resumeAt: 0,
      rate,
      usedAt: now,
      placedAt: now,
      fetching: null,
    }
    this.#buckets.set(key, made)
    return made
  }

  #forgetOldest(): void {
    for (const bucket of this.#buckets.values()) return this.#refund(bucket)
  }

  #giveBack(unusedSince: number): void {
    for (const bucket of this.#buckets.values()) {
      if (bucket.placedAt > unusedSince) return
      if (bucket.usedAt > unusedSince) continue
      if (bucket.fetching === null && bucket.resumeAt < performance.now()) this.#refund(bucket)
    }
  }

  #refund({ key, name, credit, rate }: Bucket): void {
    this.#buckets.delete(key)
    if (credit <= 0 || this.#node.phase !== 'joined') return
    this.#batch.ask({ kind: 'refund', key: name, cost: credit, ahead: 0, rate }).catch(() => undefined)
  }

  /** Of all nodes together a tenth of a second's worth, and never more than a small part of the burst. */
  #ahead({ perSecond, burst }: Rate): number {
    return Math.min((perSecond * this.#aheadMs) / 1000, burst / 4) / this.#node.nodes
  }

  #share({ perSecond, burst }: Rate): Rate {
    const { nodes } = this.#node
    return { perSecond: perSecond / nodes, burst: Math.max(1, burst / nodes) }
  }

  async #send(asks: readonly Ask[]): Promise<readonly Answer[]> {
    const { link } = this.#node
    const keys = asks.map(({ key }) => `${link.prefix}rate:${key}`)
    const args = asks.flatMap(({ kind, cost, ahead, rate }) =>
      [kind, cost, ahead, rate.perSecond, rate.burst].map(value => String(value)),
    )
    const flat = (await link.run(RATES, keys, args)) as number[]
    return asks.map((_, index) => {
      const [ok = 0, ahead = 0, waitUs = 0] = flat.slice(3 * index, 3 * index + 3)
      return { ok: ok === 1, ahead, waitMs: waitUs / 1000 }
    })
  }
}

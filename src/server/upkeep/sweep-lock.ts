/**
 * Who sweeps, of several nodes on the same stores: the one that holds the lease. It keeps it between its sweeps, gives
 * it back when it stops, and loses it when it dies or stands still for longer than `ttlMs`.
 *
 * The lease saves work; it is not what makes sweeping safe. A node may stand still for an hour between being asked
 * whether it holds the lease and the deletion itself, and no store of bytes knows fences. So every step is harmless
 * whenever and however often it is done: what ends or is forgotten is looked at again under the locks of the same
 * transaction, bytes are deleted only of a blob whose tombstone is final or which no record knows, and ids of blobs are
 * never used twice.
 */
import type { NamedLocks } from '../records/record-store.ts'
import type { NamedLock } from '../records/record-types.ts'

const NAME = 'sweep'
/** After this share of its time a lease is asked for again before anything is done in its name. */
const TRUSTED_SHARE = 0.5

export interface SweepLockOptions {
  readonly records: NamedLocks
  /** This process, told apart from every other one, and from itself before a restart. */
  readonly holder: string
  /** How long a node that no longer answers keeps the others from sweeping. */
  readonly ttlMs: () => number
}

export class SweepLock implements AsyncDisposable {
  readonly #options: SweepLockOptions
  #lease: NamedLock | null = null
  /** By the monotonic clock, counted from before the question. */
  #trustedUntilMs = 0
  #lost = new AbortController()

  constructor(options: SweepLockOptions) {
    this.#options = options
  }

  /** Takes or keeps the lease. @returns what aborts when it is lost; `null` while another node has it */
  async take(): Promise<AbortSignal | null> {
    const { records, holder, ttlMs } = this.#options
    const ttl = ttlMs()
    const askedAtMs = performance.now()
    this.#note(await records.acquireLock(NAME, holder, ttl), askedAtMs, ttl)
    if (this.#lease === null) return null
    this.#lost = new AbortController()
    return this.#lost.signal
  }

  /** Before anything is done in the name of the lease. Rejects when it is lost, and aborts what `take` gave. */
  async check(): Promise<void> {
    if (this.#lease !== null && performance.now() >= this.#trustedUntilMs) await this.#renew(this.#lease)
    this.#lost.signal.throwIfAborted()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const lease = this.#lease
    this.#lease = null
    // Otherwise it lapses.
    if (lease) await this.#options.records.releaseLock(lease).catch(() => undefined)
  }

  async #renew(lease: NamedLock): Promise<void> {
    const ttl = this.#options.ttlMs()
    const askedAtMs = performance.now()
    this.#note(await this.#options.records.renewLock(lease, ttl), askedAtMs, ttl)
    if (this.#lease === null) this.#lost.abort(new Error('Another node sweeps by now'))
  }

  #note(lease: NamedLock | null, askedAtMs: number, ttlMs: number): void {
    this.#lease = lease
    this.#trustedUntilMs = askedAtMs + TRUSTED_SHARE * ttlMs
  }
}

/** The same object; before each of `methods`, `check` must agree. */
export function checked<T extends object>(target: T, methods: ReadonlySet<string>, check: () => Promise<void>): T {
  return new Proxy(target, {
    get(inner, name) {
      const value: unknown = Reflect.get(inner, name, inner)
      if (typeof value !== 'function') return value
      if (typeof name === 'symbol' || !methods.has(name)) return value.bind(inner) as unknown
      return async (...args: unknown[]): Promise<unknown> => {
        await check()
        return Reflect.apply(value, inner, args)
      }
    },
  })
}

/** What the sweep asks and does; questions as well, so that a long walk keeps its lease. */
export const SWEEP_RECORD_METHODS: ReadonlySet<string> = new Set([
  'endExpiredLeases',
  'endExpiredParcels',
  'abortExpiredUploads',
  'listCompleting',
  'finishUpload',
  'listTombstones',
  'postponeTombstone',
  'purgeBlob',
  'listPresignedCharges',
  'releasePresignedCharge',
  'purgeEnded',
  'knownBlobs',
  'listLiveBlobs',
])
export const SWEEP_BLOB_METHODS: ReadonlySet<string> = new Set(['complete', 'delete'])

/**
 * Of several nodes on the same stores, the one that holds this lock sweeps. It holds the lock between its sweeps,
 * releases it when it stops, and loses it when it crashes or hangs for longer than `ttlMs`.
 *
 * The lock saves work; sweeping is safe without it. A node may hang for an hour between the check of the lock and a
 * deletion, and no blob store checks fences. So every step is harmless whenever and however often it runs: what ends
 * or is purged is read again under the row locks of the same transaction, bytes are deleted only of a blob whose
 * tombstone is final or that has no record, and ids of blobs are never reused.
 */
import type { NamedLocks } from '../records/record-store.ts'
import type { NamedLock } from '../records/record-types.ts'

const NAME = 'sweep'
/** After this share of `ttlMs` the lock is renewed before the next step. */
const TRUSTED_SHARE = 0.5

export interface SweepLockOptions {
  readonly records: NamedLocks
  /** Identifies this process, also after a restart. */
  readonly holder: string
  /** How long the lock of a crashed node excludes the others. */
  readonly ttlMs: () => number
}

export class SweepLock implements AsyncDisposable {
  readonly #options: SweepLockOptions
  #lock: NamedLock | null = null
  /** By the monotonic clock, counted from before the request. */
  #trustedUntilMs = 0
  #lost = new AbortController()

  constructor(options: SweepLockOptions) {
    this.#options = options
  }

  /** Acquires or extends the lock. @returns a signal that aborts when it is lost; `null` while another node holds it */
  async acquire(): Promise<AbortSignal | null> {
    const { records, holder, ttlMs } = this.#options
    const ttl = ttlMs()
    const requestedAtMs = performance.now()
    this.#note(await records.acquireLock(NAME, holder, ttl), requestedAtMs, ttl)
    if (this.#lock === null) return null
    this.#lost = new AbortController()
    return this.#lost.signal
  }

  /** Before each step. Rejects when the lock is lost, and aborts the signal that `acquire` returned. */
  async check(): Promise<void> {
    if (this.#lock !== null && performance.now() >= this.#trustedUntilMs) await this.#renew(this.#lock)
    this.#lost.signal.throwIfAborted()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const lock = this.#lock
    this.#lock = null
    // If this fails, the lock expires.
    if (lock) await this.#options.records.releaseLock(lock).catch(() => undefined)
  }

  async #renew(lock: NamedLock): Promise<void> {
    const ttl = this.#options.ttlMs()
    const requestedAtMs = performance.now()
    this.#note(await this.#options.records.renewLock(lock, ttl), requestedAtMs, ttl)
    if (this.#lock === null) this.#lost.abort(new Error('Another node sweeps now'))
  }

  #note(lock: NamedLock | null, requestedAtMs: number, ttlMs: number): void {
    this.#lock = lock
    this.#trustedUntilMs = requestedAtMs + TRUSTED_SHARE * ttlMs
  }
}

/** The same object; the lock is checked before each of `methods`, or before every method. */
export function checked<T extends object>(target: T, check: () => Promise<void>, methods?: readonly (keyof T)[]): T {
  return new Proxy(target, {
    get(inner, name) {
      const value: unknown = Reflect.get(inner, name, inner)
      if (typeof value !== 'function') return value
      if (typeof name === 'symbol' || (methods && !methods.includes(name as keyof T)))
        return value.bind(inner) as unknown
      return async (...args: unknown[]): Promise<unknown> => {
        await check()
        return Reflect.apply(value, inner, args)
      }
    },
  })
}

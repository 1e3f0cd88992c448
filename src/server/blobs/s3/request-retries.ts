/** [Note: one owner of retries] The SDK tries each request once; only this file repeats it. */
import { setTimeout as sleep } from 'node:timers/promises'

import { raceAbort } from '../../../common/abort-race.ts'

import { isWorthRetry, translateS3Error, TryTimeout } from './s3-errors.ts'

export interface RetryPolicy {
  /** Most tries of one call, the first included. */
  readonly tries: number
  /** The wait before try n+1 is a random share of this × 2ⁿ⁻¹. */
  readonly firstDelayMs: number
  readonly maxDelayMs: number
  /** How long one try may take; see `Deadline`. */
  readonly tryTimeoutMs: number
  readonly budget: RetryBudget
  /** From 0 to below 1. */
  readonly random: () => number
}

/** One try of a call. */
export interface Try {
  /** Aborts with the caller's, and at the deadline. */
  readonly signal: AbortSignal
  /** The time left for the service. */
  readonly deadline: Deadline
}

/**
 * Runs a call until it succeeds, fails for good, or tries or budget are used up. `attempt` must be safe to repeat.
 * @throws the signal's reason; else the last error, translated
 */
export async function withRetries<T>(
  policy: RetryPolicy,
  signal: AbortSignal,
  attempt: (current: Try) => Promise<T>,
): Promise<T> {
  for (let count = 1; ; count += 1) {
    try {
      const result = await tryOnce(policy.tryTimeoutMs, signal, attempt)
      policy.budget.succeeded()
      return result
    } catch (error) {
      signal.throwIfAborted()
      if (count >= policy.tries || !isWorthRetry(error) || !policy.budget.take()) throw translateS3Error(error)
    }
    await pause(policy, count, signal)
  }
}

export async function pause(policy: RetryPolicy, count: number, signal: AbortSignal): Promise<void> {
  const ceilingMs = Math.min(policy.maxDelayMs, policy.firstDelayMs * 2 ** (count - 1))
  try {
    await sleep(policy.random() * ceilingMs, undefined, { signal })
  } catch {
    signal.throwIfAborted()
  }
}

/**
 * Ends at the deadline also when `attempt` never settles. What `attempt` opens must end with the try's signal.
 * @throws what the attempt throws, `TryTimeout`, the signal's reason
 */
export async function tryOnce<T>(
  timeoutMs: number,
  signal: AbortSignal,
  attempt: (current: Try) => Promise<T>,
): Promise<T> {
  signal.throwIfAborted()
  const controller = new AbortController()
  const expire = (): void => controller.abort(new TryTimeout(`The S3 storage did not respond within ${timeoutMs} ms`))
  const deadline = new Deadline(timeoutMs, expire)
  const abort = (): void => controller.abort(signal.reason)
  signal.addEventListener('abort', abort, { once: true })
  try {
    return await raceAbort(attempt({ signal: controller.signal, deadline }), controller.signal)
  } finally {
    deadline.pause()
    signal.removeEventListener('abort', abort)
  }
}

const RETRY_COST = 1
const SUCCESS_GAIN = 0.1

/**
 * Bounds the retries of all calls together, so that a failing service does not receive a multiple of the usual
 * requests: each retry costs one, ten successes earn one.
 */
export class RetryBudget {
  readonly #capacity: number
  #left: number

  constructor(capacity: number) {
    this.#capacity = capacity
    this.#left = capacity
  }

  take(): boolean {
    if (this.#left < RETRY_COST) return false
    this.#left -= RETRY_COST
    return true
  }

  succeeded(): void {
    this.#left = Math.min(this.#capacity, this.#left + SUCCESS_GAIN)
  }
}

/** Slower transfers than this, on average, reach their deadline. */
const MINIMUM_BYTES_PER_SECOND = 64 * 1024

/** The time left for the service. Each byte that moves extends it, up to the full timeout. */
export class Deadline {
  readonly #timeoutMs: number
  readonly #expired: () => void
  #timer: NodeJS.Timeout | null = null
  /** By the monotonic clock, while it runs. */
  #atMs = 0
  /** While it is paused. */
  #leftMs: number

  constructor(timeoutMs: number, expired: () => void) {
    this.#timeoutMs = timeoutMs
    this.#expired = expired
    this.#leftMs = timeoutMs
    this.progressed(0)
  }

  /** The service took or sent `bytes`; the clock runs again. */
  progressed(bytes: number): void {
    const leftMs = this.#timer ? this.#atMs - performance.now() : this.#leftMs
    const earnedMs = (bytes * 1000) / MINIMUM_BYTES_PER_SECOND
    this.#atMs = performance.now() + Math.min(this.#timeoutMs, leftMs + earnedMs)
    this.#timer ??= setTimeout(this.#check, Math.max(1, this.#atMs - performance.now()))
  }

  /** Stops the clock while the service owes nothing. */
  pause(): void {
    if (!this.#timer) return
    this.#leftMs = this.#atMs - performance.now()
    clearTimeout(this.#timer)
    this.#timer = null
  }

  #check = (): void => {
    const leftMs = this.#atMs - performance.now()
    this.#timer = leftMs > 0 ? setTimeout(this.#check, Math.ceil(leftMs)) : null
    if (!this.#timer) this.#expired()
  }
}

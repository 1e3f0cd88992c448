/**
 * The only layer that repeats anything. Every request of the SDK can be repeated: GET, PUT and DELETE by their nature,
 * POST by its Idempotency-Key.
 */
import { isSealiftError } from '../../protocol/errors.ts'
import type { SealiftErrorCode } from '../../protocol/errors.ts'
import { asError, throwIfAborted } from '../concurrency/abort.ts'
import type { MonotonicClock } from '../concurrency/monotonic-clock.ts'
import type { RetryEvent, RetryOptions } from '../api/options.ts'

/** Temporary failures: the same request may succeed later. */
const PASSING: readonly SealiftErrorCode[] = [
  'network',
  'rate_limited',
  'too_many_uploads',
  'too_many_downloads',
  'too_many_pending',
  'unavailable',
  'shutting_down',
  'stalled',
  'internal',
  'digest_mismatch',
]

/** At least this many attempts are made, however long they take. */
const MIN_ATTEMPTS = 3

/** Retry timeout for a server that has never responded: its address is likely wrong. */
const NEVER_REACHED_TIMEOUT_MS = 5000

/** Retries at once, and how the budget refills. One budget serves all requests of a client. */
const BUDGET_REPEATS = 400
const BUDGET_PER_SECOND = 5
const BUDGET_PER_SUCCESS = 0.2

export interface RetrierOptions {
  readonly retry?: RetryOptions | undefined
  readonly clock: MonotonicClock
  /** 0 (inclusive) to 1 (exclusive). */
  readonly random: () => number
  readonly onRetry?: ((event: RetryEvent) => void) | undefined
}

/** What an operation can tell its retrier. */
export interface Attempt {
  /** 0 for the first one. */
  readonly number: number
  /** Reports that bytes moved: retry timeout and pauses restart. */
  moved(): void
}

export class Retrier {
  readonly #clock: MonotonicClock
  readonly #random: () => number
  readonly #timeoutMs: number
  readonly #baseMs: number
  readonly #capMs: number
  readonly #onRetry: RetrierOptions['onRetry']
  #budget = BUDGET_REPEATS
  #budgetAt: number
  #hasResponded = false

  constructor(options: RetrierOptions) {
    this.#clock = options.clock
    this.#random = options.random
    this.#timeoutMs = options.retry?.patienceMs ?? 120_000
    this.#baseMs = options.retry?.baseMs ?? 250
    this.#capMs = options.retry?.capMs ?? 10_000
    this.#budgetAt = options.clock.now()
    this.#onRetry = options.onRetry
  }

  /** Runs `operation` until it succeeds, fails for good, or has failed for too long; then its last error is thrown. */
  async run<T>(
    signal: AbortSignal,
    operation: (attempt: Attempt) => Promise<T>,
    onRetry?: (event: RetryEvent) => void,
  ): Promise<T> {
    let failures = 0
    let failingSince: number | null = null
    const moved = (): void => {
      failures = 0
      failingSince = null
    }
    for (let number = 0; ; number += 1) {
      throwIfAborted(signal)
      try {
        const result = await operation({ number, moved })
        this.#hasResponded = true
        this.#budget = Math.min(BUDGET_REPEATS, this.#budget + BUDGET_PER_SUCCESS)
        return result
      } catch (error) {
        throwIfAborted(signal)
        this.#hasResponded ||= !isSealiftError(error, 'network')
        failingSince ??= this.#clock.now()
        const pauseMs = this.#pauseMs(error, failures)
        failures += 1
        if (!isPassing(error) || this.#isLate(failingSince, pauseMs, failures) || !this.#spend()) throw error
        const event = { error: asError(error), waitMs: pauseMs, failingMs: this.#clock.now() - failingSince }
        this.#onRetry?.(event)
        onRetry?.(event)
        await this.#clock.sleep(pauseMs, signal)
      }
    }
  }

  #isLate(failingSince: number, pauseMs: number, failures: number): boolean {
    const timeoutMs = this.#hasResponded ? this.#timeoutMs : Math.min(this.#timeoutMs, NEVER_REACHED_TIMEOUT_MS)
    if (pauseMs > timeoutMs) return true
    return failures >= MIN_ATTEMPTS && this.#clock.now() + pauseMs - failingSince > timeoutMs
  }

  /** Full jitter under a doubling, capped bound; never sooner than the server asked for. */
  #pauseMs(error: unknown, failures: number): number {
    const bound = Math.min(this.#capMs, this.#baseMs * 2 ** Math.min(failures, 30))
    const jitterMs = this.#random() * bound
    const askedMs = isSealiftError(error) ? (error.context.retryAfterSeconds ?? 0) * 1000 : 0
    return askedMs > 0 ? askedMs + jitterMs : jitterMs
  }

  #spend(): boolean {
    const now = this.#clock.now()
    this.#budget = Math.min(BUDGET_REPEATS, this.#budget + ((now - this.#budgetAt) / 1000) * BUDGET_PER_SECOND)
    this.#budgetAt = now
    if (this.#budget < 1) return false
    this.#budget -= 1
    return true
  }
}

export function isPassing(error: unknown): boolean {
  return isSealiftError(error, ...PASSING)
}

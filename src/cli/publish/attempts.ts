import { setTimeout as sleep } from 'node:timers/promises'

import { isPassing } from '../../client/wire/retrier.ts'

export interface AttemptOptions {
  /** Pause after the first failure; doubles up to `capMs`, with jitter. */
  readonly baseMs: number
  readonly capMs: number
  readonly random: () => number
  readonly signal: AbortSignal
  readonly onPause: (error: unknown, waitMs: number) => void
}

/**
 * Runs `job` until it succeeds or fails for good. The SDK repeats single requests for minutes; this is for servers that
 * are away for longer.
 * @throws what is not worth another attempt; the abort
 */
export async function untilDone<T>(job: () => Promise<T>, options: AttemptOptions): Promise<T> {
  const { baseMs, capMs, random, signal } = options
  for (let failures = 0; ; failures += 1) {
    try {
      return await job()
    } catch (error) {
      if (signal.aborted || !isPassing(error)) throw error
      const bound = Math.min(capMs, baseMs * 2 ** Math.min(failures, 20))
      const waitMs = Math.ceil(bound / 2 + (random() * bound) / 2)
      options.onPause(error, waitMs)
      await sleep(waitMs, undefined, { signal })
    }
  }
}

import { raceAbort } from '../../common/abort-race.ts'
import { SealiftError } from '../../protocol/errors.ts'

/** Never aborts. */
export const NO_SIGNAL: AbortSignal = new AbortController().signal

/**
 * Why a signal aborted. A `SealiftError`, by which a failed task stops its siblings, is returned unchanged; any other
 * reason is an abort by the caller.
 */
export function abortReason(signal: AbortSignal): SealiftError {
  const reason: unknown = signal.reason
  if (reason instanceof SealiftError) return reason
  return new SealiftError('aborted', 'Stopped by the caller', { cause: reason })
}

export function throwIfAborted(signal: AbortSignal): void {
  if (signal.aborted) throw abortReason(signal)
}

/** Anything that was thrown, as an `Error`. */
export function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown))
}

/** What `promise` resolves to, or the abort, whichever is first. */
export function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return raceAbort(promise, signal, abortReason)
}

/**
 * Runs `work` with a signal that follows `outer`, but aborts `lingerMs` later if `isWorthWaiting` is true when `outer`
 * aborts.
 */
export async function lingering<T>(
  outer: AbortSignal,
  { lingerMs, isWorthWaiting }: { readonly lingerMs: number; readonly isWorthWaiting: () => boolean },
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const late = new AbortController()
  let timer: ReturnType<typeof setTimeout> | undefined
  const onAbort = (): void => {
    if (isWorthWaiting()) timer = setTimeout(() => late.abort(outer.reason), lingerMs)
    else late.abort(outer.reason)
  }
  outer.addEventListener('abort', onAbort, { once: true })
  try {
    return await work(late.signal)
  } finally {
    clearTimeout(timer)
    outer.removeEventListener('abort', onAbort)
  }
}

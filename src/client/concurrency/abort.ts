import { SealiftError } from '../../protocol/errors.ts'

/** Never aborts. */
export const NO_SIGNAL: AbortSignal = new AbortController().signal

/**
 * Why a signal aborted, as an error of ours: an error that one task of a transfer stopped its siblings with is passed
 * on as it is; anything else is the caller's wish.
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

/** What `promise` gives, or the abort, whichever is first. Whatever `promise` does afterwards concerns nobody. */
export async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  throwIfAborted(signal)
  const aborted = Promise.withResolvers<never>()
  const onAbort = (): void => aborted.reject(abortReason(signal))
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    return await Promise.race([promise, aborted.promise])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}

/**
 * Follows `outer`, but `lingerMs` later if `isWorthWaiting` says so when it aborts.
 * Dispose it when what it is for has ended.
 */
export function lingering(outer: AbortSignal, lingerMs: number, isWorthWaiting: () => boolean): Lingering {
  const late = new AbortController()
  let timer: ReturnType<typeof setTimeout> | undefined
  const onAbort = (): void => {
    if (isWorthWaiting()) timer = setTimeout(() => late.abort(outer.reason), lingerMs)
    else late.abort(outer.reason)
  }
  outer.addEventListener('abort', onAbort, { once: true })
  return {
    signal: late.signal,
    [Symbol.dispose]: () => {
      clearTimeout(timer)
      outer.removeEventListener('abort', onAbort)
    },
  }
}

export interface Lingering extends Disposable {
  readonly signal: AbortSignal
}

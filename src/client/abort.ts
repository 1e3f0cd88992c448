import { SealiftError } from '../protocol/errors.ts'

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

/**
 * - `damaged`: the bytes were altered, cut, reordered, or sealed with another key. One code and one message for all
 *   of these, so that a forger learns nothing.
 * - `source_changed`: other bytes were sealed under this chunk index before. The key must not be used any more.
 * - `too_long`: more plaintext than one key may seal.
 * - `invalid_argument`: the caller's mistake, found before any cryptography.
 */
export type SealingErrorCode = 'damaged' | 'source_changed' | 'too_long' | 'invalid_argument'

/** The one error class of this layer. `code` is stable; `message` names no key, no length and no position. */
export class SealingError extends Error {
  override readonly name = 'SealingError'
  readonly code: SealingErrorCode

  constructor(code: SealingErrorCode, message: string) {
    super(message)
    this.code = code
  }
}

/** The uniform refusal. It has no cause, since the failed check must not be revealed. */
export function damaged(): SealingError {
  return new SealingError('damaged', 'The sealed bytes were altered, cut short, or sealed with another key')
}

export function invalidArgument(message: string): SealingError {
  return new SealingError('invalid_argument', message)
}

/** True when `error` is a `SealingError` with one of `codes` (with any code when none is named). */
export function isSealingError(error: unknown, ...codes: SealingErrorCode[]): error is SealingError {
  return error instanceof SealingError && (codes.length === 0 || codes.includes(error.code))
}

import { systemCode, systemReason } from '../../../files/system-failure.ts'
import { SealiftError } from '../../../protocol/errors.ts'

/**
 * A failure of a local file as a `SealiftError`. The path is only in `context.path`, because a message may be logged,
 * and names must not be.
 */
export function localError(what: string, path: string, error: unknown): SealiftError {
  if (error instanceof SealiftError) return error
  const code = systemCode(error)
  const why = systemReason(code) ?? code ?? 'for an unknown reason'
  return new SealiftError('local_file', `${what}: ${why}`, { context: { path, errno: code }, cause: error })
}

/** What `promise` resolves to, or `null` when it fails with one of `codes`. */
export async function unless<T>(promise: Promise<T>, ...codes: string[]): Promise<T | null> {
  try {
    return await promise
  } catch (error) {
    if (codes.includes(systemCode(error) ?? '')) return null
    throw error
  }
}

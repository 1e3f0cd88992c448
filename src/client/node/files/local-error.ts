import { systemCode, systemReason } from '../../../files/system-failure.ts'
import { SealiftError } from '../../../protocol/errors.ts'

/**
 * A failure of a local file as an error of ours. The path is in `context.path` alone, for whoever asked: a message may
 * end up in a log, and names are not for logs.
 */
export function localError(what: string, path: string, error: unknown): SealiftError {
  if (error instanceof SealiftError) return error
  const code = systemCode(error)
  const why = systemReason(code) ?? code ?? 'for an unknown reason'
  return new SealiftError('local_file', `${what}: ${why}`, { context: { path, errno: code }, cause: error })
}

/** What `promise` gives, or `null` when the file system answers with one of `codes`. */
export async function unless<T>(promise: Promise<T>, ...codes: string[]): Promise<T | null> {
  try {
    return await promise
  } catch (error) {
    if (codes.includes(systemCode(error) ?? '')) return null
    throw error
  }
}

import { SealiftError } from '../../protocol/errors.ts'

const PLAIN_WORDS: Readonly<Record<string, string>> = {
  ENOENT: 'it does not exist',
  EACCES: 'permission is denied',
  EPERM: 'it is not permitted',
  ENOSPC: 'the disk is full',
  EDQUOT: 'the disk quota is used up',
  EROFS: 'the file system is read-only',
  EISDIR: 'it is a folder',
  ENOTDIR: 'a folder was expected',
  EMFILE: 'too many files are open',
  EIO: 'the disk failed',
}

/**
 * A failure of a local file as an error of ours. The path is in `context.path` alone, for whoever asked: a message may
 * end up in a log, and names are not for logs.
 */
export function localError(what: string, path: string, error: unknown): SealiftError {
  if (error instanceof SealiftError) return error
  const code = errorCode(error)
  const why = PLAIN_WORDS[code ?? ''] ?? code ?? 'for an unknown reason'
  return new SealiftError('local_file', `${what}: ${why}`, { context: { path, errno: code }, cause: error })
}

export function errorCode(error: unknown): string | undefined {
  const code: unknown = error instanceof Error && 'code' in error ? error.code : undefined
  return typeof code === 'string' ? code : undefined
}

/** What `promise` gives, or `null` when the file system answers with one of `codes`. */
export async function unless<T>(promise: Promise<T>, ...codes: string[]): Promise<T | null> {
  try {
    return await promise
  } catch (error) {
    if (codes.includes(errorCode(error) ?? '')) return null
    throw error
  }
}

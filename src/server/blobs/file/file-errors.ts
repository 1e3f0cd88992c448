import { isSealiftError, SealiftError } from '../../../protocol/errors.ts'

const FULL = new Set(['ENOSPC', 'EDQUOT'])

/** A file system's error as ours, its own as the cause. */
export function translateFileError(error: unknown): SealiftError {
  if (isSealiftError(error)) return error
  const code = errorCode(error)
  if (code !== null && FULL.has(code)) {
    return new SealiftError('storage_full', 'The disk that holds the media is full: free some space', { cause: error })
  }
  if (code === 'EFBIG') {
    const message = "The server's file system, or its limit on file sizes (`ulimit -f`), takes no file of this size"
    return new SealiftError('too_large', message, { context: { limit: 'fileBytes' }, cause: error })
  }
  return new SealiftError('unavailable', `The media storage failed (${code ?? 'unknown error'})`, { cause: error })
}

export function isMissing(error: unknown): boolean {
  return errorCode(error) === 'ENOENT'
}

/** Too many open files, here or on the whole machine. */
export function isOutOfDescriptors(error: unknown): boolean {
  const code = errorCode(error)
  return code === 'EMFILE' || code === 'ENFILE'
}

function errorCode(error: unknown): string | null {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : null
}

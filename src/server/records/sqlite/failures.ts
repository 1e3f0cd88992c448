import { SealiftError } from '../../../protocol/errors.ts'

/** An error of SQLite as a SealiftError; any other error (a refusal, a bug) unchanged. */
export function translateSqliteError(error: unknown): unknown {
  const code = sqliteCode(error)
  if (code === null) return error
  if (code === 'SQLITE_FULL') {
    return new SealiftError('storage_full', 'The disk that holds the records is full: free some space', {
      cause: error,
    })
  }
  return new SealiftError('unavailable', `The record database failed (${code})`, { cause: error })
}

function sqliteCode(error: unknown): string | null {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return null
  return error.code.startsWith('SQLITE_') ? error.code : null
}

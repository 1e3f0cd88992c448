import { existsSync } from 'node:fs'

import { explain } from '../explain.ts'
import { fail, ok, type Check } from './check.ts'

/** Reads the record file as SQLite does, without changing it; a running server is not disturbed. */
export async function checkRecords(file: string): Promise<Check> {
  if (!existsSync(file)) return ok('records', `${file} is not there yet; it will be made`)
  try {
    const { default: Database } = await import('better-sqlite3')
    const database = new Database(file, { readonly: true, fileMustExist: true })
    try {
      const found: unknown = database.pragma('quick_check(1)', { simple: true })
      return found === 'ok'
        ? ok('records', `${file} is sound`)
        : fail('records', `${file} is damaged: restore a backup`)
    } finally {
      database.close()
    }
  } catch (error) {
    return fail('records', `${file} cannot be read: ${explain(error).message}`)
  }
}

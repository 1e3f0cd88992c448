import { join } from 'node:path'

import { openSqliteDatabase } from '../../src/server/records/sqlite/database.ts'
import { tempDirectory } from '../support/temp-directory.ts'
import { migrationsContract } from './migrations-contract.ts'

migrationsContract('SQLite', async () => {
  const directory = await tempDirectory()
  const file = join(directory.path, 'records.db')
  return {
    open: () => openSqliteDatabase({ file, busyTimeoutMs: 5000, cacheBytes: 2 ** 20 }),
    [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose](),
  }
})

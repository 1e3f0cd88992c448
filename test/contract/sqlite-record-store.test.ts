import { join } from 'node:path'

import BetterSqlite3 from 'better-sqlite3'

import { createKyselyRecordStore } from '../../src/server/records/queries/kysely-record-store.ts'
import type { RecordStore } from '../../src/server/records/record-store.ts'
import { openSqliteDatabase } from '../../src/server/records/sqlite/database.ts'
import { openSqliteRecordStore } from '../../src/server/records/sqlite/index.ts'
import { tempDirectory } from '../support/temp-directory.ts'
import { type OpenedRecords, recordStoreContract } from './record-store-contract.ts'

recordStoreContract('SQLite', () => openIn(file => openSqliteRecordStore({ file })))

recordStoreContract('SQLite on the thread that asks', () =>
  openIn(async file => createKyselyRecordStore(openSqliteDatabase({ file, busyTimeoutMs: 5000, cacheBytes: 2 ** 20 }))),
)

async function openIn(open: (file: string) => Promise<RecordStore>): Promise<OpenedRecords> {
  const directory = await tempDirectory()
  const file = join(directory.path, 'records.db')
  const records = await open(file)
  await records.migrate()
  const janitor = new BetterSqlite3(file)
  return {
    records,
    async clear() {
      const tables = janitor.prepare("select name from sqlite_master where type = 'table'").pluck().all() as string[]
      for (const table of tables) if (!table.startsWith('kysely_')) janitor.exec(`delete from ${table}`)
    },
    async [Symbol.asyncDispose]() {
      await records[Symbol.asyncDispose]()
      janitor.close()
      await directory[Symbol.asyncDispose]()
    },
  }
}

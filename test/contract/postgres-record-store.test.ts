import { openPostgresRecordStore } from '../../src/server/records/postgres/index.ts'
import { createDatabase, postgresEngine } from '../support/engines/postgres.ts'
import { sharedEngine } from '../support/engines/shared.ts'
import { type OpenedRecords, recordStoreContract } from './record-store-contract.ts'

recordStoreContract('PostgreSQL', openRecords)

async function openRecords(): Promise<OpenedRecords> {
  const database = await createDatabase(await sharedEngine(postgresEngine))
  const { url } = database
  const records = await openPostgresRecordStore({
    url,
    poolSize: 12,
    connectTimeoutMs: 60_000,
    statementTimeoutMs: 10_000,
  })
  await records.migrate()
  const janitor = await database.connect()
  return {
    records,
    async clear() {
      const { rows } = await janitor.query<{ name: string }>(
        "select tablename as name from pg_tables where schemaname = 'public' and tablename not like 'kysely%'",
      )
      await janitor.query(rows.map(({ name }) => `delete from ${name}`).join('; '))
    },
    async [Symbol.asyncDispose]() {
      await records[Symbol.asyncDispose]()
      await janitor.end()
      await database[Symbol.asyncDispose]()
    },
  }
}

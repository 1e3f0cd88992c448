import { openPostgresDatabase } from '../../src/server/records/postgres/database.ts'
import { createDatabase, postgresEngine } from '../support/engines/postgres.ts'
import { sharedEngine } from '../support/engines/shared.ts'
import { migrationsContract } from './migrations-contract.ts'

migrationsContract('PostgreSQL', async () => {
  const database = await createDatabase(await sharedEngine(postgresEngine))
  return {
    open: () =>
      openPostgresDatabase({
        url: database.url,
        poolSize: 4,
        connectTimeoutMs: 60_000,
        statementTimeoutMs: 10_000,
      }),
    [Symbol.asyncDispose]: () => database[Symbol.asyncDispose](),
  }
})

/** A database as an older version of Sealift left it: for tests of the steps that came since. */
import { Migrator } from 'kysely/migration'

import type { Db } from '../../src/server/records/queries/transactions.ts'
import { migrationsFor, type SqlDialect } from '../../src/server/records/migrations.ts'

/** Makes the tables of the version whose last step is `last`. */
export async function makeOldSchema(db: Db, dialect: SqlDialect, last: string): Promise<void> {
  const provider = { getMigrations: async () => migrationsFor(dialect) }
  const { error } = await new Migrator({ db, provider }).migrateTo(last)
  if (error !== undefined) throw error
}

import type { Kysely } from 'kysely'

import type { SqlDialect } from './migrations.ts'
import type { Schema } from './schema.ts'

/**
 * What the record store needs of a database.
 *
 * [Note: row locks] On SQLite, `write` runs one after the other, so nothing needs a lock. On PostgreSQL they run at
 * once; each begins by updating the row it depends on to itself (`lockBlob`, `lockUsage`, …), which locks that row on
 * both. Locks are taken in one order: parcels, then blobs (ascending), then clients (ascending).
 */
export interface RecordDatabase extends AsyncDisposable {
  readonly dialect: SqlDialect
  /** Sees only what is durable. */
  readonly read: Kysely<Schema>
  /** One transaction, durable when it resolves; rolled back when `work` rejects. */
  write<T>(work: (db: Kysely<Schema>) => Promise<T>): Promise<T>
  /** Runs alone on a connection outside any transaction: for migrations. */
  exclusively<T>(work: (db: Kysely<Schema>) => Promise<T>): Promise<T>
}

/** Inside a transaction, or reading. */
export type Db = Kysely<Schema>

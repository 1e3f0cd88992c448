/**
 * The record store on PostgreSQL, for one node or many. Each change is one transaction that locks the rows it decides
 * upon ([Note: row locks] in queries/transactions.ts); the database confirms it once it is on its disk.
 *
 * A crash of a node leaves nothing. The database rolls back uncommitted changes and frees their locks: at once when the
 * connection breaks, and after twice the statement timeout when the node hangs.
 *
 * Each connection has session settings and prepared statements: a proxy in between must use session pooling.
 */
import { Client } from 'pg'

import { SealiftError } from '../../../protocol/errors.ts'
import { createKyselyRecordStore } from '../queries/kysely-record-store.ts'
import { explainPostgres, databaseServerOf } from './explain-connection.ts'
import { openPostgresDatabase } from './database.ts'
import { clientConfig, cut, type PostgresSettings } from './pool.ts'
import type { RecordStore } from '../record-store.ts'
import { SkipNoopWrites } from '../queries/skip-noop-writes.ts'

export type PostgresRecordStoreOptions = PostgresSettings

/**
 * Connects once, so that a wrong URL is reported in one line. Call `migrate()` before anything else; dispose it when
 * done. @throws unavailable, naming `records.postgres.url` and never its password
 */
export async function openPostgresRecordStore(options: PostgresRecordStoreOptions): Promise<RecordStore> {
  await checkConnection(options)
  const database = openPostgresDatabase(options)
  const store = createKyselyRecordStore(database)
  return new SkipNoopWrites(store, database.read)
}

async function checkConnection(options: PostgresRecordStoreOptions): Promise<void> {
  const server = databaseServerOf(options.url)
  const client = new Client(clientConfig(options))
  client.on('error', () => undefined)
  try {
    await client.connect()
  } catch (error) {
    throw new SealiftError('unavailable', explainPostgres(error, server))
  } finally {
    cut(client)
  }
}

/**
 * The record store on PostgreSQL, for one node or many. Each change is one transaction that locks the rows it decides
 * upon ([Note: row locks] in database.ts); the database confirms it once it is on its disk.
 *
 * What a crash of a node leaves: nothing. The database rolls back what was not committed and frees its locks, at once
 * when the connection breaks, and after twice the statement timeout when the node merely stands still.
 *
 * Each connection is set up when it is opened and keeps prepared statements: a proxy in between must give every
 * connection a server of its own (session pooling).
 */
import { Client } from 'pg'

import { SealiftError } from '../../../protocol/errors.ts'
import { createKyselyRecordStore } from '../queries/kysely-record-store.ts'
import { explainPostgres, placeOf } from './explain-connection.ts'
import { openPostgresDatabase } from './database.ts'
import { clientConfig, cut, type PostgresSettings } from './pool.ts'
import type { RecordStore } from '../record-store.ts'
import { sparingWrites } from '../queries/skip-noop-writes.ts'

export type PostgresRecordStoreOptions = PostgresSettings

/**
 * Connects once, to tell in one line what is wrong with the address. Call `migrate()` before anything else; dispose it
 * when done. @throws unavailable, naming `records.postgres.url` and never its password
 */
export async function openPostgresRecordStore(options: PostgresRecordStoreOptions): Promise<RecordStore> {
  await checkConnection(options)
  const database = openPostgresDatabase(options)
  const store = createKyselyRecordStore(database)
  return { ...store, ...sparingWrites(store, database.read) }
}

async function checkConnection(options: PostgresRecordStoreOptions): Promise<void> {
  const place = placeOf(options.url)
  const client = new Client(clientConfig(options))
  client.on('error', () => undefined)
  try {
    await client.connect()
  } catch (error) {
    throw new SealiftError('unavailable', explainPostgres(error, place))
  } finally {
    cut(client)
  }
}

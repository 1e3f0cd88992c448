import { createClientRecords } from './client-records.ts'
import type { Db, RecordDatabase } from './database.ts'
import { createMediaRecords } from './media-records.ts'
import { createNamedLeases } from './named-leases.ts'
import { createParcelRecords } from './parcel-records.ts'
import type { RecordStore } from '../record-store.ts'
import { checkSchema, migrate } from './schema-version.ts'
import { createUploadRecords } from './upload-records.ts'
import { createUpkeepRecords } from './upkeep-records.ts'

/**
 * Rows that probes of several nodes rewrite: with one, each would wait for the others' commits, and all of them for a node
 * that stands still. By chance, since in containers every process has the same number.
 */
const PROBE_ROWS = 256

/** The record store over any database that Kysely speaks to. Owns `database`. */
export function createKyselyRecordStore(database: RecordDatabase): RecordStore {
  return {
    ...createUploadRecords(database),
    ...createMediaRecords(database),
    ...createParcelRecords(database),
    ...createClientRecords(database),
    ...createUpkeepRecords(database),
    ...createNamedLeases(database),
    migrate: () => database.exclusively(db => migrate(db, database.dialect)),
    checkSchema: () => checkSchema(database.read, database.dialect),
    probe: () => database.write(probe),
    [Symbol.asyncDispose]: () => database[Symbol.asyncDispose](),
  }
}

/** Changes a row that means nothing: proof that a commit goes through. */
export async function probe(db: Db): Promise<void> {
  await db
    .insertInto('probes')
    .values({ id: Math.floor(Math.random() * PROBE_ROWS), count: 1 })
    .onConflict(conflict => conflict.column('id').doUpdateSet(eb => ({ count: eb('probes.count', '+', 1) })))
    .execute()
}

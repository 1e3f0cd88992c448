import type { Kysely } from 'kysely'
import { Migrator } from 'kysely/migration'

import { createClientRecords } from './client-records.ts'
import { abandonable, type Db, type RecordDatabase } from './transactions.ts'
import { createMediaRecords } from './media-records.ts'
import { createNamedLocks } from './named-locks.ts'
import { createParcelRecords } from './parcel-records.ts'
import type { RecordStore } from '../record-store.ts'
import { createUploadRecords } from './upload-records.ts'
import { createUpkeepRecords } from './upkeep-records.ts'
import { SealiftError } from '../../../protocol/errors.ts'
import { type SqlDialect, migrationsFor } from '../migrations.ts'
import type { Schema } from '../schema.ts'

/**
 * Rows that probes of several nodes rewrite: on one row, each would wait for the commits of the others, and all of them
 * for a node that hangs. Chosen at random, since in containers every process has the same id.
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
    ...createNamedLocks(database),
    migrate: signal => database.exclusively(db => migrate(db, database.dialect), signal),
    checkSchema: signal => abandonable(checkSchema(database.read, database.dialect), signal),
    probe: signal => database.write(probe, signal),
    [Symbol.asyncDispose]: () => database[Symbol.asyncDispose](),
  }
}

/** Changes a row without meaning: proof that the database can commit. */
export async function probe(db: Db): Promise<void> {
  await db
    .insertInto('probes')
    .values({ id: Math.floor(Math.random() * PROBE_ROWS), count: 1 })
    .onConflict(conflict => conflict.column('id').doUpdateSet(eb => ({ count: eb('probes.count', '+', 1) })))
    .execute()
}

/** Brings the schema up to date. The caller holds the schema lock. @throws unavailable when the schema is newer */
export async function migrate(db: Kysely<Schema>, dialect: SqlDialect): Promise<void> {
  const migrations = migrationsFor(dialect)
  refuseNewer(await appliedSteps(db), dialect)
  const migrator = new Migrator({ db, provider: { getMigrations: async () => migrations } })
  const { error } = await migrator.migrateToLatest()
  if (error !== undefined) throw error
}

/** @throws unavailable when the schema is newer than this program knows, or not up to date */
export async function checkSchema(db: Kysely<Schema>, dialect: SqlDialect): Promise<void> {
  const applied = await appliedSteps(db)
  refuseNewer(applied, dialect)
  const missing = Object.keys(migrationsFor(dialect)).filter(name => !applied.includes(name))
  if (missing.length === 0) return
  const message =
    applied.length === 0
      ? 'The record database is empty: start the server once to set it up'
      : 'The records were written by an older version of Sealift: start the server of this version, or run fsck with --repair, to bring them up to date'
  throw new SealiftError('unavailable', message, { context: { missing } })
}

async function appliedSteps(db: Kysely<Schema>): Promise<readonly string[]> {
  const tables = await db.introspection.getTables({ withInternalKyselyTables: true })
  if (!tables.some(table => table.name === 'kysely_migration')) return []
  const applied = await db
    .withTables<{ kysely_migration: { name: string } }>()
    .selectFrom('kysely_migration')
    .select('name')
    .execute()
  return applied.map(({ name }) => name)
}

/** Rows of a newer program may mean what this one cannot know. */
function refuseNewer(applied: readonly string[], dialect: SqlDialect): void {
  const known = migrationsFor(dialect)
  const unknown = applied.filter(name => !Object.hasOwn(known, name))
  if (unknown.length === 0) return
  throw new SealiftError('unavailable', 'The records were written by a newer version of Sealift: start that version', {
    context: { unknown },
  })
}

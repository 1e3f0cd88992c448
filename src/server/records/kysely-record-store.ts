import type { Kysely } from 'kysely'
import { Migrator } from 'kysely/migration'

import { SealiftError } from '../../protocol/errors.ts'
import { createClientRecords } from './client-records.ts'
import type { Db, RecordDatabase } from './database.ts'
import { createMediaRecords } from './media-records.ts'
import { migrationsFor, type SqlDialect } from './migrations.ts'
import { createParcelRecords } from './parcel-records.ts'
import type { RecordStore } from './record-store.ts'
import type { Schema } from './schema.ts'
import { createUploadRecords } from './upload-records.ts'
import { createUpkeepRecords } from './upkeep-records.ts'

/** The record store over any database that Kysely speaks to. Owns `database`. */
export function createKyselyRecordStore(database: RecordDatabase): RecordStore {
  return {
    ...createUploadRecords(database),
    ...createMediaRecords(database),
    ...createParcelRecords(database),
    ...createClientRecords(database),
    ...createUpkeepRecords(database),
    migrate: () => database.exclusively(db => migrate(db, database.dialect)),
    probe: () => database.write(probe),
    [Symbol.asyncDispose]: () => database[Symbol.asyncDispose](),
  }
}

async function migrate(db: Kysely<Schema>, dialect: SqlDialect): Promise<void> {
  const migrations = migrationsFor(dialect)
  const migrator = new Migrator({ db, provider: { getMigrations: async () => migrations } })
  await refuseNewer(db, migrations)
  const { error } = await migrator.migrateToLatest()
  if (error !== undefined) throw error
}

/** A newer program has been here: its rows may mean what this one cannot know. @throws unavailable */
async function refuseNewer(db: Kysely<Schema>, known: Record<string, unknown>): Promise<void> {
  const tables = await db.introspection.getTables({ withInternalKyselyTables: true })
  if (!tables.some(table => table.name === 'kysely_migration')) return
  const applied = await db
    .withTables<{ kysely_migration: { name: string } }>()
    .selectFrom('kysely_migration')
    .select('name')
    .execute()
  const unknown = applied.filter(({ name }) => !Object.hasOwn(known, name))
  if (unknown.length === 0) return
  throw new SealiftError('unavailable', 'The records were written by a newer version of Sealift: start that one', {
    context: { unknown: unknown.map(({ name }) => name) },
  })
}

async function probe(db: Db): Promise<void> {
  await db
    .insertInto('probes')
    .values({ id: 1, count: 1 })
    .onConflict(conflict => conflict.column('id').doUpdateSet(eb => ({ count: eb('probes.count', '+', 1) })))
    .execute()
}

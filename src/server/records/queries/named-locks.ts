import { type RawBuilder, sql } from 'kysely'

import type { Db, RecordDatabase } from './database.ts'
import type { SqlDialect } from '../migrations.ts'
import type { NamedLock, NamedLocks } from '../record-store.ts'

export function createNamedLocks(database: RecordDatabase): NamedLocks {
  const now = CLOCKS[database.dialect]
  return {
    databaseTime: () => databaseTime(database.read, now),
    acquireLock: (name, holder, ttlMs) => database.write(db => acquireLock(db, { name, holder, ttlMs }, now)),
    renewLock: (lease, ttlMs) => database.write(db => renewLock(db, lease, ttlMs, now)),
    releaseLock: lease => database.write(db => releaseLock(db, lease)),
  }
}

/** The time at which a statement runs, not the one at which its transaction began: it may have waited for a lock. */
const CLOCKS: Readonly<Record<SqlDialect, RawBuilder<number>>> = {
  sqlite: sql<number>`cast(unixepoch('subsec') * 1000 as integer)`,
  postgres: sql<number>`floor(extract(epoch from clock_timestamp()) * 1000)::bigint`,
}

async function databaseTime(db: Db, now: RawBuilder<number>): Promise<number> {
  const { rows } = await sql<{ now: number }>`select ${now} as now`.execute(db)
  const [row] = rows
  if (!row) throw new Error('A question for the time was answered with nothing')
  return row.now
}

interface Wish {
  readonly name: string
  readonly holder: string
  readonly ttlMs: number
}

/** The conflict locks the row, so that of two who come at once the second sees what the first took. */
async function acquireLock(db: Db, { name, holder, ttlMs }: Wish, now: RawBuilder<number>): Promise<NamedLock | null> {
  const expires_at = sql<number>`${now} + ${sql.lit(Math.ceil(ttlMs))}`
  const row = await db
    .insertInto('named_leases')
    .values({ name, holder, fence: 1, expires_at })
    .onConflict(conflict =>
      conflict
        .column('name')
        .doUpdateSet(eb => {
          const mine = eb.and([eb('named_leases.holder', '=', holder), eb('named_leases.expires_at', '>', now)])
          return {
            holder,
            expires_at,
            fence: eb('named_leases.fence', '+', eb.case().when(mine).then(0).else(1).end()),
          }
        })
        .where(eb => eb.or([eb('named_leases.holder', '=', holder), eb('named_leases.expires_at', '<=', now)])),
    )
    .returningAll()
    .executeTakeFirst()
  return row ? { name, holder, fence: row.fence, expiresAt: row.expires_at } : null
}

/** A lease that lapsed unnoticed by anyone is still its holder's. */
async function renewLock(db: Db, lease: NamedLock, ttlMs: number, now: RawBuilder<number>): Promise<NamedLock | null> {
  const row = await db
    .updateTable('named_leases')
    .set({ expires_at: sql<number>`${now} + ${sql.lit(Math.ceil(ttlMs))}` })
    .where('name', '=', lease.name)
    .where('holder', '=', lease.holder)
    .where('fence', '=', lease.fence)
    .where('expires_at', '>', 0)
    .returning('expires_at')
    .executeTakeFirst()
  return row ? { ...lease, expiresAt: row.expires_at } : null
}

/** The row stays, for its fence. */
async function releaseLock(db: Db, { name, holder, fence }: NamedLock): Promise<void> {
  await db
    .updateTable('named_leases')
    .set({ expires_at: 0 })
    .where('name', '=', name)
    .where('holder', '=', holder)
    .where('fence', '=', fence)
    .execute()
}

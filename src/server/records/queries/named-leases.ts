import { type RawBuilder, sql } from 'kysely'

import type { Db, RecordDatabase } from './database.ts'
import type { SqlDialect } from '../migrations.ts'
import type { NamedLease, NamedLeases } from '../record-store.ts'

export function createNamedLeases(database: RecordDatabase): NamedLeases {
  const now = CLOCKS[database.dialect]
  return {
    databaseTime: () => databaseTime(database.read, now),
    acquireLease: (name, holder, ttlMs) => database.write(db => acquireLease(db, { name, holder, ttlMs }, now)),
    renewLease: (lease, ttlMs) => database.write(db => renewLease(db, lease, ttlMs, now)),
    releaseLease: lease => database.write(db => releaseLease(db, lease)),
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
async function acquireLease(
  db: Db,
  { name, holder, ttlMs }: Wish,
  now: RawBuilder<number>,
): Promise<NamedLease | null> {
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
async function renewLease(
  db: Db,
  lease: NamedLease,
  ttlMs: number,
  now: RawBuilder<number>,
): Promise<NamedLease | null> {
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
async function releaseLease(db: Db, { name, holder, fence }: NamedLease): Promise<void> {
  await db
    .updateTable('named_leases')
    .set({ expires_at: 0 })
    .where('name', '=', name)
    .where('holder', '=', holder)
    .where('fence', '=', fence)
    .execute()
}

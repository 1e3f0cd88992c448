import { type RawBuilder, sql } from 'kysely'

import { abandonable, type Db, type RecordDatabase } from './transactions.ts'
import type { SqlDialect } from '../migrations.ts'
import type { NamedLocks } from '../record-store.ts'
import type { NamedLock } from '../record-types.ts'

export function createNamedLocks(database: RecordDatabase): NamedLocks {
  const now = CLOCKS[database.dialect]
  return {
    databaseTime: signal => abandonable(databaseTime(database.read, now), signal),
    acquireLock: (name, holder, ttlMs, signal) =>
      database.write(db => acquireLock(db, { name, holder, ttlMs }, now), signal),
    renewLock: (lock, ttlMs, signal) => database.write(db => renewLock(db, lock, ttlMs, now), signal),
    releaseLock: (lock, signal) => database.write(db => releaseLock(db, lock), signal),
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
  if (!row) throw new Error('The database returned no row for its time')
  return row.now
}

interface LockRequest {
  readonly name: string
  readonly holder: string
  readonly ttlMs: number
}

/** The conflict locks the row: of two concurrent requests the second sees the result of the first. */
async function acquireLock(
  db: Db,
  { name, holder, ttlMs }: LockRequest,
  now: RawBuilder<number>,
): Promise<NamedLock | null> {
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

/** An expired lock that no other node acquired is still its holder's. */
async function renewLock(db: Db, lock: NamedLock, ttlMs: number, now: RawBuilder<number>): Promise<NamedLock | null> {
  const row = await db
    .updateTable('named_leases')
    .set({ expires_at: sql<number>`${now} + ${sql.lit(Math.ceil(ttlMs))}` })
    .where('name', '=', lock.name)
    .where('holder', '=', lock.holder)
    .where('fence', '=', lock.fence)
    .where('expires_at', '>', 0)
    .returning('expires_at')
    .executeTakeFirst()
  return row ? { ...lock, expiresAt: row.expires_at } : null
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

/**
 * [Note: turnstile] Many forwards may keep a blob at once, and PostgreSQL lets one more in for as long as any of them has
 * it: whoever wants it alone could wait for ever. So each forward passes a turnstile before the blob, beside others; who
 * finds a blob kept stands in the turnstile alone, and those who come later queue up behind. It is free again with the
 * end of the transaction. Whoever waits at it holds no blob, lease or client ([Note: row locks] in database.ts).
 *
 * On SQLite changes run one after the other, and there is none.
 */
import { sql, SqliteAdapter } from 'kysely'

import type { Db } from '../queries/database.ts'

/** A number that means turnstiles of Sealift, to all that take such locks in this database. */
const TURNSTILES = 7_325_002

export function hasTurnstiles(db: Db): boolean {
  return !(db.getExecutor().adapter instanceof SqliteAdapter)
}

export async function passTurnstile(db: Db, blobId: string): Promise<void> {
  if (!hasTurnstiles(db)) return
  await sql`select pg_advisory_xact_lock_shared(${sql.lit(TURNSTILES)}, ${turnstileOf(blobId)}::int)`.execute(db)
}

/** Ascending, so that nobody waits in a circle. */
export async function closeTurnstiles(db: Db, blobIds: readonly string[]): Promise<void> {
  const turnstiles = [...new Set(blobIds.map(turnstileOf))].sort((left, right) => left - right)
  for (const turnstile of turnstiles) {
    await sql`select pg_advisory_xact_lock(${sql.lit(TURNSTILES)}, ${turnstile}::int)`.execute(db)
  }
}

/** Ids are random: a few dozen turnstiles for all blobs, so that many blobs need few. */
function turnstileOf(blobId: string): number {
  return blobId.charCodeAt(0)
}

import { SealiftError } from '../../protocol/errors.ts'
import type { Db } from './database.ts'
import type { Idempotency } from './record-store.ts'

/**
 * Claims a key for what is about to be made.
 * @returns `null` when it was free (or had lapsed), else the id that the first request made
 * @throws idempotency_conflict when the key belongs to another request
 */
export async function claimKey(
  db: Db,
  idempotency: Idempotency | null,
  madeId: string,
  now: number,
): Promise<string | null> {
  if (!idempotency) return null
  const { clientId, key, fingerprint, expiresAt } = idempotency
  const mine = { client_id: clientId, key, fingerprint, made_id: madeId, expires_at: expiresAt }
  // Takes the row over when it has lapsed; otherwise no row comes back and the first request's stays.
  const claimed = await db
    .insertInto('idempotency')
    .values(mine)
    .onConflict(conflict =>
      conflict.columns(['client_id', 'key']).doUpdateSet(mine).where('idempotency.expires_at', '<=', now),
    )
    .returning('made_id')
    .executeTakeFirst()
  return claimed ? null : firstMade(db, idempotency)
}

async function firstMade(db: Db, { clientId, key, fingerprint }: Idempotency): Promise<string> {
  const first = await db
    .selectFrom('idempotency')
    .select(['fingerprint', 'made_id'])
    .where('client_id', '=', clientId)
    .where('key', '=', key)
    .executeTakeFirstOrThrow()
  if (first.fingerprint === fingerprint) return first.made_id
  throw new SealiftError('idempotency_conflict', 'This Idempotency-Key was used with another request: choose a new one')
}

/** Lets a key stand for something new: what it made is gone. */
export async function moveKey(db: Db, { clientId, key }: Idempotency, madeId: string): Promise<void> {
  await db
    .updateTable('idempotency')
    .set({ made_id: madeId })
    .where('client_id', '=', clientId)
    .where('key', '=', key)
    .execute()
}

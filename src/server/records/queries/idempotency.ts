import { SealiftError } from '../../../protocol/errors.ts'
import type { Db } from './database.ts'
import type { Idempotency } from '../record-store.ts'

export interface ClaimedKey {
  /** `null` when the key was free (or had lapsed), else the id that the first request made. */
  readonly madeId: string | null
  /** Rows that this claim added. */
  readonly rows: number
}

/** Claims a key for what is about to be made. @throws idempotency_conflict when the key belongs to another request */
export async function claimKey(
  db: Db,
  idempotency: Idempotency | null,
  madeId: string,
  now: number,
): Promise<ClaimedKey> {
  if (!idempotency) return { madeId: null, rows: 0 }
  const { clientId, key, fingerprint, expiresAt } = idempotency
  const mine = { fingerprint, made_id: madeId, expires_at: expiresAt }
  for (;;) {
    const added = await db
      .insertInto('idempotency')
      .values({ client_id: clientId, key, ...mine })
      .onConflict(conflict => conflict.columns(['client_id', 'key']).doNothing())
      .returning('made_id')
      .executeTakeFirst()
    if (added) return { madeId: null, rows: 1 }
    const lapsed = await db
      .updateTable('idempotency')
      .set(mine)
      .where('client_id', '=', clientId)
      .where('key', '=', key)
      .where('expires_at', '<=', now)
      .returning('made_id')
      .executeTakeFirst()
    if (lapsed) return { madeId: null, rows: 0 }
    const first = await firstMade(db, idempotency)
    // Purged in between: then it is free.
    if (first !== null) return { madeId: first, rows: 0 }
  }
}

/** Locks the key, so that of two repeats only one replaces what the first request left unfinished. */
async function firstMade(db: Db, { clientId, key, fingerprint }: Idempotency): Promise<string | null> {
  const first = await db
    .selectFrom('idempotency')
    .select(['fingerprint', 'made_id'])
    .where('client_id', '=', clientId)
    .where('key', '=', key)
    .forUpdate()
    .executeTakeFirst()
  if (!first) return null
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

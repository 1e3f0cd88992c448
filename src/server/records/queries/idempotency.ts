import { SealiftError } from '../../../protocol/errors.ts'
import type { Db } from './transactions.ts'
import type { Idempotency } from '../record-types.ts'

interface InsertedKey {
  /** The id that the first request created; `null` when the key was free or had expired. */
  readonly createdId: string | null
  /** Rows added. */
  readonly rows: number
}

/** Binds a key to the id about to be created. @throws idempotency_conflict when the key belongs to another request */
export async function insertKey(
  db: Db,
  idempotency: Idempotency | null,
  createdId: string,
  now: number,
): Promise<InsertedKey> {
  if (!idempotency) return { createdId: null, rows: 0 }
  const { clientId, key, fingerprint, expiresAt } = idempotency
  const values = { fingerprint, made_id: createdId, expires_at: expiresAt }
  for (;;) {
    const added = await db
      .insertInto('idempotency')
      .values({ client_id: clientId, key, ...values })
      .onConflict(conflict => conflict.columns(['client_id', 'key']).doNothing())
      .returning('made_id')
      .executeTakeFirst()
    if (added) return { createdId: null, rows: 1 }
    const expired = await db
      .updateTable('idempotency')
      .set(values)
      .where('client_id', '=', clientId)
      .where('key', '=', key)
      .where('expires_at', '<=', now)
      .returning('made_id')
      .executeTakeFirst()
    if (expired) return { createdId: null, rows: 0 }
    const first = await firstCreated(db, idempotency)
    // Purged between the two statements: then the key is free.
    if (first !== null) return { createdId: first, rows: 0 }
  }
}

/** Locks the key: of two concurrent repeats only one replaces an aborted upload of the first request. */
async function firstCreated(db: Db, { clientId, key, fingerprint }: Idempotency): Promise<string | null> {
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

/** Binds a key to a new id, when the upload it created is gone. */
export async function reassignKey(db: Db, { clientId, key }: Idempotency, createdId: string): Promise<void> {
  await db
    .updateTable('idempotency')
    .set({ made_id: createdId })
    .where('client_id', '=', clientId)
    .where('key', '=', key)
    .execute()
}

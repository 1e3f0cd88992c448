/** Recomputes what every client is charged from the leases and uploads themselves. */
import type { Db, RecordDatabase } from './database.ts'
import { NOTHING } from './held-bytes.ts'
import { adjustUsage, lockUsage, NO_USAGE } from './ledger.ts'
import type { ClientId, Usage } from './record-store.ts'
import { toUsage } from './client-records.ts'

export interface WrongCharge {
  readonly clientId: ClientId
  readonly charged: Usage
  readonly actual: Usage
}

/** Each wrong charge is looked at again under the lock of its client before it is repaired: others go on meanwhile. */
export async function auditUsage(database: RecordDatabase, repair: boolean): Promise<readonly WrongCharge[]> {
  const wrong = await database.snapshot(wrongCharges)
  if (!repair) return wrong
  const repaired: WrongCharge[] = []
  for (const { clientId } of wrong) {
    const charge = await database.write(db => repairCharge(db, clientId))
    if (charge) repaired.push(charge)
  }
  return repaired
}

async function wrongCharges(db: Db): Promise<readonly WrongCharge[]> {
  const charged = await chargedUsage(db)
  const actual = await actualUsage(db, null)
  return [...new Set([...charged.keys(), ...actual.keys()])]
    .sort()
    .map(clientId => ({
      clientId,
      charged: charged.get(clientId) ?? NO_USAGE,
      actual: actual.get(clientId) ?? NO_USAGE,
    }))
    .filter(({ charged, actual }) => !sameUsage(charged, actual))
}

/** Whoever changes what a client holds changes its charge in the same transaction, so under its lock both are told right. */
async function repairCharge(db: Db, clientId: ClientId): Promise<WrongCharge | null> {
  const charged = await lockUsage(db, clientId)
  const actual = (await actualUsage(db, clientId)).get(clientId) ?? NO_USAGE
  if (sameUsage(charged, actual)) return null
  await adjustUsage(db, clientId, {
    storedBytes: actual.storedBytes - charged.storedBytes,
    reservedBytes: actual.reservedBytes - charged.reservedBytes,
    pendingUploads: actual.pendingUploads - charged.pendingUploads,
  })
  return { clientId, charged, actual }
}

function sameUsage(left: Usage, right: Usage): boolean {
  return (
    left.storedBytes === right.storedBytes &&
    left.reservedBytes === right.reservedBytes &&
    left.pendingUploads === right.pendingUploads
  )
}

async function chargedUsage(db: Db): Promise<Map<ClientId, Usage>> {
  const rows = await db.selectFrom('client_usage').selectAll().execute()
  return new Map(rows.map(row => [row.client_id, toUsage(row)]))
}

async function actualUsage(db: Db, only: ClientId | null): Promise<Map<ClientId, Usage>> {
  const usage = new Map<ClientId, Usage>()
  for (const { client_id, bytes } of await storedByClient(db, only)) {
    usage.set(client_id, { ...NO_USAGE, storedBytes: Number(bytes ?? 0) })
  }
  for (const { client_id, bytes } of await heldByClient(db, only)) {
    const stored = usage.get(client_id) ?? NO_USAGE
    usage.set(client_id, { ...stored, storedBytes: stored.storedBytes + Number(bytes ?? 0) })
  }
  for (const { client_id, bytes, count } of await reservedByClient(db, only)) {
    const stored = usage.get(client_id) ?? NO_USAGE
    usage.set(client_id, { ...stored, reservedBytes: Number(bytes ?? 0), pendingUploads: count })
  }
  return usage
}

/** What addresses may still bring to uploads that are over. */
function heldByClient(db: Db, only: ClientId | null) {
  return db
    .selectFrom('uploads')
    .select(eb => ['client_id' as const, eb.fn.sum<number | string | null>('reserved_bytes').as('bytes')])
    .where('finished_at', 'is not', null)
    .where('reserved_bytes', '>', NOTHING)
    .$if(only !== null, all => all.where('client_id', '=', only))
    .groupBy('client_id')
    .execute()
}

/** Each blob once per client that holds a live lease of it. */
function storedByClient(db: Db, only: ClientId | null) {
  const holdings = db
    .selectFrom('leases')
    .innerJoin('blobs', 'blobs.blob_id', 'leases.blob_id')
    .select(['leases.client_id', 'leases.blob_id', 'blobs.size_bytes'])
    .distinct()
    .where('leases.ended_at', 'is', null)
    .where('blobs.state', '=', 'complete')
    .$if(only !== null, all => all.where('leases.client_id', '=', only))
  return db
    .selectFrom(holdings.as('holdings'))
    .select(eb => ['client_id' as const, eb.fn.sum<number | string | null>('size_bytes').as('bytes')])
    .groupBy('client_id')
    .execute()
}

function reservedByClient(db: Db, only: ClientId | null) {
  return db
    .selectFrom('uploads')
    .select(eb => [
      'client_id' as const,
      eb.fn.sum<number | string | null>('reserved_bytes').as('bytes'),
      eb.fn.countAll<number>().as('count'),
    ])
    .where('finished_at', 'is', null)
    .$if(only !== null, all => all.where('client_id', '=', only))
    .groupBy('client_id')
    .execute()
}

/** Recomputes what every client is charged from the leases and uploads themselves. */
import type { Db } from './database.ts'
import { NO_USAGE } from './ledger.ts'
import type { ClientId, Usage } from './record-store.ts'
import { toUsage } from './client-records.ts'

export interface WrongCharge {
  readonly clientId: ClientId
  readonly charged: Usage
  readonly actual: Usage
}

export async function auditUsage(db: Db, repair: boolean): Promise<readonly WrongCharge[]> {
  const charged = await chargedUsage(db)
  const actual = await actualUsage(db)
  const wrong = [...new Set([...charged.keys(), ...actual.keys()])]
    .sort()
    .map(clientId => ({
      clientId,
      charged: charged.get(clientId) ?? NO_USAGE,
      actual: actual.get(clientId) ?? NO_USAGE,
    }))
    .filter(({ charged, actual }) => !sameUsage(charged, actual))
  if (repair) for (const { clientId, actual } of wrong) await setUsage(db, clientId, actual)
  return wrong
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

async function actualUsage(db: Db): Promise<Map<ClientId, Usage>> {
  const usage = new Map<ClientId, Usage>()
  for (const { client_id, bytes } of await storedByClient(db)) {
    usage.set(client_id, { ...NO_USAGE, storedBytes: Number(bytes ?? 0) })
  }
  for (const { client_id, bytes, count } of await reservedByClient(db)) {
    const stored = usage.get(client_id) ?? NO_USAGE
    usage.set(client_id, { ...stored, reservedBytes: Number(bytes ?? 0), pendingUploads: count })
  }
  return usage
}

/** Each blob once per client that holds a live lease of it. */
function storedByClient(db: Db) {
  const holdings = db
    .selectFrom('leases')
    .innerJoin('blobs', 'blobs.blob_id', 'leases.blob_id')
    .select(['leases.client_id', 'leases.blob_id', 'blobs.size_bytes'])
    .distinct()
    .where('leases.ended_at', 'is', null)
    .where('blobs.state', '=', 'complete')
  return db
    .selectFrom(holdings.as('holdings'))
    .select(eb => ['client_id' as const, eb.fn.sum<number | string | null>('size_bytes').as('bytes')])
    .groupBy('client_id')
    .execute()
}

function reservedByClient(db: Db) {
  return db
    .selectFrom('uploads')
    .select(eb => [
      'client_id' as const,
      eb.fn.sum<number | string | null>('reserved_bytes').as('bytes'),
      eb.fn.countAll<number>().as('count'),
    ])
    .where('finished_at', 'is', null)
    .groupBy('client_id')
    .execute()
}

async function setUsage(db: Db, clientId: ClientId, usage: Usage): Promise<void> {
  const values = {
    stored_bytes: usage.storedBytes,
    reserved_bytes: usage.reservedBytes,
    pending_uploads: usage.pendingUploads,
  }
  await db
    .insertInto('client_usage')
    .values({ client_id: clientId, ...values })
    .onConflict(conflict => conflict.column('client_id').doUpdateSet(values))
    .execute()
}

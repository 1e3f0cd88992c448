/** Recomputes what every client is charged from the leases, parcels, keys and uploads themselves. */
import { sql } from 'kysely'

import type { Db, RecordDatabase } from './transactions.ts'
import { ZERO } from './presigned-charges.ts'
import { adjustUsage, lockUsage, NO_USAGE, toUsage } from './quota-usage.ts'
import type { ClientId, Usage, WrongCharge } from '../record-types.ts'

/** Each wrong charge is computed again under the lock of its client before it is repaired: the server keeps running. */
export async function auditUsage(
  database: RecordDatabase,
  repair: boolean,
  signal?: AbortSignal,
): Promise<readonly WrongCharge[]> {
  const wrong = await database.snapshot(wrongCharges, signal)
  if (!repair) return wrong
  const repaired: WrongCharge[] = []
  for (const { clientId } of wrong) {
    const charge = await database.write(db => repairCharge(db, clientId), signal)
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

/**
 * What a client holds and its charge change in one transaction, so under the lock of the client both are consistent.
 */
async function repairCharge(db: Db, clientId: ClientId): Promise<WrongCharge | null> {
  const charged = await lockUsage(db, clientId)
  const actual = (await actualUsage(db, clientId)).get(clientId) ?? NO_USAGE
  if (sameUsage(charged, actual)) return null
  await adjustUsage(db, clientId, {
    storedBytes: actual.storedBytes - charged.storedBytes,
    storedRows: actual.storedRows - charged.storedRows,
    reservedBytes: actual.reservedBytes - charged.reservedBytes,
    pendingUploads: actual.pendingUploads - charged.pendingUploads,
  })
  return { clientId, charged, actual }
}

function sameUsage(left: Usage, right: Usage): boolean {
  return (
    left.storedBytes === right.storedBytes &&
    left.storedRows === right.storedRows &&
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
  const add = (clientId: ClientId, more: Partial<Usage>) => {
    const current = usage.get(clientId) ?? NO_USAGE
    usage.set(clientId, {
      storedBytes: current.storedBytes + (more.storedBytes ?? 0),
      storedRows: current.storedRows + (more.storedRows ?? 0),
      reservedBytes: current.reservedBytes + (more.reservedBytes ?? 0),
      pendingUploads: current.pendingUploads + (more.pendingUploads ?? 0),
    })
  }
  for (const { client_id, bytes } of await storedByClient(db, only)) add(client_id, { storedBytes: Number(bytes ?? 0) })
  for (const { client_id, bytes } of await presignedByClient(db, only))
    add(client_id, { storedBytes: Number(bytes ?? 0) })
  for (const { client_id, bytes, count } of await reservedByClient(db, only)) {
    add(client_id, { reservedBytes: Number(bytes ?? 0), pendingUploads: count })
  }
  for (const { client_id, bytes, rows } of await parcelsByClient(db, only)) {
    add(client_id, { storedBytes: Number(bytes ?? 0), storedRows: Number(rows ?? 0) })
  }
  for (const rowsByClient of [leaseRowsByClient, keyRowsByClient, partRowsByClient]) {
    for (const { client_id, rows } of await rowsByClient(db, only)) add(client_id, { storedRows: Number(rows ?? 0) })
  }
  return usage
}

/** Manifests are empty once their parcel has ended; its rows stay until they are purged. */
function parcelsByClient(db: Db, only: ClientId | null) {
  return db
    .selectFrom('parcels')
    .select(eb => [
      'client_id' as const,
      eb.fn.sum<number | string | null>('manifest_bytes').as('bytes'),
      eb.fn.sum<number | string | null>(eb('media_count', '+', 1)).as('rows'),
    ])
    .$if(only !== null, all => all.where('client_id', '=', only))
    .groupBy('client_id')
    .execute()
}

function leaseRowsByClient(db: Db, only: ClientId | null) {
  const counted = sql<number>`1 + case when counter_id = media_id then max_downloads else 0 end`
  return db
    .selectFrom('leases')
    .select(eb => ['client_id' as const, eb.fn.sum<number | string | null>(counted).as('rows')])
    .$if(only !== null, all => all.where('client_id', '=', only))
    .groupBy('client_id')
    .execute()
}

function keyRowsByClient(db: Db, only: ClientId | null) {
  return db
    .selectFrom('idempotency')
    .select(eb => ['client_id' as const, eb.fn.countAll<number>().as('rows')])
    .$if(only !== null, all => all.where('client_id', '=', only))
    .groupBy('client_id')
    .execute()
}

/** Of unfinished uploads of unknown size. */
function partRowsByClient(db: Db, only: ClientId | null) {
  return db
    .selectFrom('parts')
    .innerJoin('uploads', 'uploads.blob_id', 'parts.blob_id')
    .innerJoin('blobs', 'blobs.blob_id', 'parts.blob_id')
    .select(eb => ['uploads.client_id' as const, eb.fn.countAll<number>().as('rows')])
    .where('uploads.finished_at', 'is', null)
    .where('blobs.declared_bytes', 'is', null)
    .$if(only !== null, all => all.where('uploads.client_id', '=', only))
    .groupBy('uploads.client_id')
    .execute()
}

/** What presigned URLs may still bring to finished or aborted uploads. */
function presignedByClient(db: Db, only: ClientId | null) {
  return db
    .selectFrom('uploads')
    .select(eb => ['client_id' as const, eb.fn.sum<number | string | null>('reserved_bytes').as('bytes')])
    .where('finished_at', 'is not', null)
    .where('reserved_bytes', '>', ZERO)
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

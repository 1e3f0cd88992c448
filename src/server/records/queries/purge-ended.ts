/** Deletes rows of what ended long enough ago: one bounded batch per table, oldest first where that matters. */
import { sql } from 'kysely'

import type { Db } from './transactions.ts'
import { adjustUsage, rowsOfLease } from './quota-usage.ts'
import type { ClientId } from '../record-types.ts'

interface Purge {
  /** Ended leases and parcels, finished uploads and unseen devices older than this are deleted. */
  readonly before: number
  /** Grants and keys that have expired at this time are deleted. */
  readonly now: number
  readonly batch: number
}

/** Rows that each client is no longer charged for ([Note: stored rows] in quota-usage.ts). */
type FreedRows = Map<ClientId, number>

/** A literal in the SQL, so that the partial index is used. */
const IDLE = sql.lit<number>(1)

export async function purgeEnded(db: Db, purge: Purge): Promise<number> {
  const freed: FreedRows = new Map()
  const counts = [
    await purgeLeases(db, purge, freed),
    await purgeParcels(db, purge, freed),
    await purgeUploads(db, purge),
    await purgeBlobs(db, purge),
    await purgeGrants(db, purge),
    await purgeKeys(db, purge, freed),
    await purgeDevices(db, purge),
    await releaseRows(db, freed),
    await purgeIdleClients(db, purge),
  ]
  return counts.reduce((sum, count) => sum + count, 0)
}

/** Clients are locked last, ascending ([Note: row locks] in transactions.ts). */
async function releaseRows(db: Db, freed: FreedRows): Promise<number> {
  const ascending = [...freed].sort(([left], [right]) => (left < right ? -1 : 1))
  for (const [clientId, rows] of ascending) await adjustUsage(db, clientId, { storedRows: -rows })
  return 0
}

function freeRows(freed: FreedRows, clientId: ClientId, rows: number): void {
  freed.set(clientId, (freed.get(clientId) ?? 0) + rows)
}

async function purgeLeases(db: Db, { before, batch }: Purge, freed: FreedRows): Promise<number> {
  const rows = await db
    .selectFrom('leases')
    .select('media_id')
    .where('ended_at', '<', before)
    .orderBy('ended_at')
    .limit(batch)
    .execute()
  const mediaIds = rows.map(row => row.media_id)
  if (mediaIds.length === 0) return 0
  await db.deleteFrom('grants').where('media_id', 'in', mediaIds).execute()
  const gone = await db
    .deleteFrom('leases')
    .where('media_id', 'in', mediaIds)
    .returning(['media_id', 'client_id', 'counter_id', 'max_downloads'])
    .execute()
  for (const { media_id, client_id, counter_id, max_downloads } of gone) {
    freeRows(freed, client_id, rowsOfLease(counter_id === media_id ? max_downloads : null))
  }
  return mediaIds.length
}

async function purgeParcels(db: Db, { before, batch }: Purge, freed: FreedRows): Promise<number> {
  const rows = await db.selectFrom('parcels').select('parcel_id').where('ended_at', '<', before).limit(batch).execute()
  const parcelIds = rows.map(row => row.parcel_id)
  if (parcelIds.length === 0) return 0
  await db.deleteFrom('parcel_media').where('parcel_id', 'in', parcelIds).execute()
  await db.deleteFrom('manifests').where('parcel_id', 'in', parcelIds).execute()
  const gone = await db
    .deleteFrom('parcels')
    .where('parcel_id', 'in', parcelIds)
    .returning(['client_id', 'media_count'])
    .execute()
  for (const { client_id, media_count } of gone) freeRows(freed, client_id, 1 + media_count)
  return parcelIds.length
}

/**
 * An upload with a presigned charge stays, and so does one with live presigned URLs: its media item may end before
 * them.
 */
async function purgeUploads(db: Db, { before, now, batch }: Purge): Promise<number> {
  const rows = await db
    .selectFrom('uploads')
    .select('upload_id')
    .where('finished_at', '<', before)
    .where('reserved_bytes', '=', 0)
    .where(eb =>
      eb.not(
        eb.exists(
          eb
            .selectFrom('blobs')
            .select('blob_id')
            .whereRef('blobs.blob_id', '=', 'uploads.blob_id')
            .where('blobs.addresses_until', '>', now),
        ),
      ),
    )
    .orderBy('finished_at')
    .limit(batch)
    .execute()
  const uploadIds = rows.map(row => row.upload_id)
  if (uploadIds.length > 0) await db.deleteFrom('uploads').where('upload_id', 'in', uploadIds).execute()
  return uploadIds.length
}

/**
 * A blob ends with its last lease, so its row is deleted after those of the leases: only the oldest are read, however
 * many purged blobs have ended leases that still report `gone`.
 */
async function purgeBlobs(db: Db, { before, batch }: Purge): Promise<number> {
  const oldest = db
    .selectFrom('blobs')
    .select('blob_id')
    .where('purged_at', '<', before)
    .orderBy('purged_at')
    .limit(batch)
    .as('oldest')
  const rows = await db
    .selectFrom(oldest)
    .select('blob_id')
    .where(eb => {
      const leases = eb.selectFrom('leases').select('media_id').whereRef('leases.blob_id', '=', 'oldest.blob_id')
      const uploads = eb.selectFrom('uploads').select('upload_id').whereRef('uploads.blob_id', '=', 'oldest.blob_id')
      // Two conditions: each has its own index.
      const references = [leases.where('ended_at', 'is', null), leases.where('ended_at', 'is not', null), uploads]
      return eb.and(references.map(rows => eb.not(eb.exists(rows))))
    })
    .execute()
  const blobIds = rows.map(row => row.blob_id)
  if (blobIds.length > 0) await db.deleteFrom('blobs').where('blob_id', 'in', blobIds).execute()
  return blobIds.length
}

async function purgeGrants(db: Db, { now, batch }: Purge): Promise<number> {
  const rows = await db
    .selectFrom('grants')
    .select(['media_id', 'grant_id'])
    .where('expires_at', '<=', now)
    .limit(batch)
    .execute()
  for (const { media_id, grant_id } of rows) {
    await db.deleteFrom('grants').where('media_id', '=', media_id).where('grant_id', '=', grant_id).execute()
  }
  return rows.length
}

async function purgeKeys(db: Db, { now, batch }: Purge, freed: FreedRows): Promise<number> {
  const rows = await db
    .selectFrom('idempotency')
    .select(['client_id', 'key'])
    .where('expires_at', '<=', now)
    .limit(batch)
    .execute()
  for (const { client_id, key } of rows) {
    // The same key may have been used again since.
    const gone = await db
      .deleteFrom('idempotency')
      .where('client_id', '=', client_id)
      .where('key', '=', key)
      .where('expires_at', '<=', now)
      .returning('client_id')
      .executeTakeFirst()
    if (gone) freeRows(freed, client_id, 1)
  }
  return rows.length
}

async function purgeDevices(db: Db, { before, batch }: Purge): Promise<number> {
  const rows = await db
    .selectFrom('devices')
    .select(['client_id', 'device_id'])
    .where('seen_at', '<', before)
    .limit(batch)
    .execute()
  for (const { client_id, device_id } of rows) {
    await db
      .deleteFrom('devices')
      .where('client_id', '=', client_id)
      .where('device_id', '=', device_id)
      .where('seen_at', '<', before)
      .execute()
  }
  return rows.length
}

/** Locked rows are skipped until the next sweep. */
async function purgeIdleClients(db: Db, { batch }: Purge): Promise<number> {
  const rows = await db
    .selectFrom('client_usage')
    .select('client_id')
    .where('idle', '=', IDLE)
    .limit(batch)
    .forUpdate()
    .skipLocked()
    .execute()
  const clientIds = rows.map(row => row.client_id)
  if (clientIds.length > 0) await db.deleteFrom('client_usage').where('client_id', 'in', clientIds).execute()
  return clientIds.length
}

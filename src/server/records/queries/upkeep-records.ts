import { sql } from 'kysely'

import { auditUsage } from './audit-usage.ts'
import { abandonable, type Db, type RecordDatabase } from './transactions.ts'
import { endLeases } from './end-leases.ts'
import { listPresignedCharges, releasePresignedCharge } from './presigned-charges.ts'
import { lockBlobsExclusively } from './locks.ts'
import { endParcels } from './parcel-records.ts'
import { purgeEnded } from './purge-ended.ts'
import type { BlobId } from '../../blobs/blob-store.ts'
import type { UpkeepRecords } from '../record-store.ts'
import type { LiveBlob, StorageTotals, UploadRecord } from '../record-types.ts'
import { toUpload } from './rows.ts'
import type { BlobState } from '../schema.ts'

/** Literals in the SQL: a partial index is used only when its condition is known before values are bound. */
const COMPLETING = sql.lit<BlobState>('completing')
const COMPLETE = sql.lit<BlobState>('complete')

export function createUpkeepRecords(database: RecordDatabase): UpkeepRecords {
  const { read } = database
  return {
    endExpiredLeases: (now, batch, signal) => database.write(db => endExpiredLeases(db, now, batch), signal),
    endExpiredParcels: (now, batch, signal) => database.write(db => endExpiredParcels(db, now, batch), signal),
    abortExpiredUploads: (now, batch, signal) => database.write(db => abortExpiredUploads(db, now, batch), signal),
    listCompleting: (batch, signal) => abandonable(listCompleting(read, batch), signal),
    listTombstones: (batch, signal) => abandonable(listTombstones(read, batch), signal),
    postponeTombstone: (blobId, now, signal) => database.write(db => postponeTombstone(db, blobId, now), signal),
    purgeBlob: (blobId, signal) => database.write(db => purgeBlob(db, blobId), signal),
    listPresignedCharges: (now, after, batch, signal) =>
      abandonable(listPresignedCharges(read, now, after, batch), signal),
    releasePresignedCharge: (uploadId, now, signal) =>
      database.write(db => releasePresignedCharge(db, uploadId, now), signal),
    purgeEnded: (before, now, batch, signal) => database.write(db => purgeEnded(db, { before, now, batch }), signal),
    knownBlobs: (blobIds, signal) => abandonable(knownBlobs(read, blobIds), signal),
    listLiveBlobs: (after, batch, signal) => abandonable(listLiveBlobs(read, after, batch), signal),
    endBlob: (blobId, now, signal) => database.write(db => endBlob(db, blobId, now), signal),
    auditUsage: (repair, signal) => auditUsage(database, repair, signal),
    totals: signal => abandonable(totals(read), signal),
  }
}

/** Read again under the locks: a download may have been returned meanwhile. */
async function endExpiredLeases(db: Db, now: number, batch: number): Promise<number> {
  const expired = await db
    .selectFrom('leases')
    .select('media_id')
    .where('ended_at', 'is', null)
    .where('expires_at', '<=', now)
    .limit(batch)
    .execute()
  const usedUp = await selectUsedUp(db, now).limit(batch).execute()
  const mediaIds = [...expired, ...usedUp].map(row => row.media_id)
  return endLeases(db, [...new Set(mediaIds)].slice(0, batch), now, {
    stillDue: seen => stillDue(db, seen, now),
  })
}

function selectUsedUp(db: Db, now: number) {
  return db
    .selectFrom('leases')
    .select('media_id')
    .where('ended_at', 'is', null)
    .where('downloads_left', '<=', 0)
    .where(eb =>
      eb.not(
        eb.exists(
          eb
            .selectFrom('grants')
            .select('grant_id')
            .whereRef('grants.media_id', '=', 'leases.media_id')
            .where('grants.expires_at', '>', now),
        ),
      ),
    )
}

/** Locks the leases too: downloads are taken and returned without the lock of their blob. */
async function stillDue(db: Db, mediaIds: readonly string[], now: number): Promise<ReadonlySet<string>> {
  if (mediaIds.length === 0) return new Set()
  const locked = await db
    .selectFrom('leases')
    .select(['media_id', 'expires_at'])
    .where('media_id', 'in', mediaIds)
    .orderBy('media_id')
    .forUpdate()
    .execute()
  const usedUp = await selectUsedUp(db, now).where('media_id', 'in', mediaIds).execute()
  const expired = locked.filter(lease => lease.expires_at <= now)
  return new Set([...expired, ...usedUp].map(row => row.media_id))
}

async function endExpiredParcels(db: Db, now: number, batch: number): Promise<number> {
  const expired = await db
    .selectFrom('parcels')
    .select('parcel_id')
    .where('ended_at', 'is', null)
    .where('expires_at', '<=', now)
    .limit(batch)
    .execute()
  if (expired.length === 0) return 0
  const locked = await db
    .selectFrom('parcels')
    .select('parcel_id')
    .where(
      'parcel_id',
      'in',
      expired.map(row => row.parcel_id),
    )
    .where('ended_at', 'is', null)
    .orderBy('parcel_id')
    .forUpdate()
    .execute()
  await endParcels(
    db,
    locked.map(row => row.parcel_id),
    now,
  )
  return locked.length
}

/** Read again under the lock: an upload that was completed or extended meanwhile stays. */
async function abortExpiredUploads(db: Db, now: number, batch: number): Promise<number> {
  const expired = await selectIdleUploads(db, now).limit(batch).execute()
  const mediaIds = expired.map(row => row.media_id)
  const stillIdle = async (seen: readonly string[]) => {
    if (seen.length === 0) return new Set<string>()
    const idle = await selectIdleUploads(db, now).where('uploads.media_id', 'in', seen).execute()
    return new Set(idle.map(row => row.media_id))
  }
  return endLeases(db, mediaIds, now, { stillDue: stillIdle })
}

function selectIdleUploads(db: Db, now: number) {
  return db
    .selectFrom('uploads')
    .innerJoin('blobs', 'blobs.blob_id', 'uploads.blob_id')
    .select('uploads.media_id')
    .where('uploads.finished_at', 'is', null)
    .where('uploads.expires_at', '<=', now)
    .where('blobs.state', '=', 'uploading')
}

/** In random order: an upload that can never be finished must not delay the others. */
async function listCompleting(db: Db, batch: number): Promise<readonly UploadRecord[]> {
  const rows = await db
    .selectFrom('uploads')
    .innerJoin('blobs', 'blobs.blob_id', 'uploads.blob_id')
    .selectAll('uploads')
    .select(['blobs.part_bytes', 'blobs.state', 'blobs.declared_bytes', 'blobs.size_bytes', 'blobs.deleted_at'])
    .select('blobs.addresses_until')
    .where('blobs.state', '=', COMPLETING)
    .where('blobs.deleted_at', 'is', null)
    .orderBy(sql`random()`)
    .limit(batch)
    .execute()
  return rows.map(toUpload)
}

async function listTombstones(db: Db, batch: number): Promise<readonly { blobId: BlobId }[]> {
  const rows = await db
    .selectFrom('blobs')
    .select('blob_id')
    .where('deleted_at', 'is not', null)
    .where('purged_at', 'is', null)
    .orderBy('deleted_at')
    .limit(batch)
    .execute()
  return rows.map(row => ({ blobId: row.blob_id }))
}

/** Behind all blobs that have ended until now. */
async function postponeTombstone(db: Db, blobId: BlobId, now: number): Promise<void> {
  await db
    .updateTable('blobs')
    .set({ deleted_at: now + 1 })
    .where('blob_id', '=', blobId)
    .where('deleted_at', '<=', now)
    .where('purged_at', 'is', null)
    .execute()
}

/** The row stays while ended leases refer to it, so that they still report `gone`. */
async function purgeBlob(db: Db, blobId: BlobId): Promise<void> {
  await db
    .updateTable('blobs')
    .set(eb => ({ purged_at: eb.ref('deleted_at') }))
    .where('blob_id', '=', blobId)
    .where('deleted_at', 'is not', null)
    .execute()
}

async function knownBlobs(db: Db, blobIds: readonly BlobId[]): Promise<ReadonlySet<BlobId>> {
  if (blobIds.length === 0) return new Set()
  const rows = await db
    .selectFrom('blobs')
    .select('blob_id')
    .where('blob_id', 'in', blobIds)
    .where('purged_at', 'is', null)
    .execute()
  return new Set(rows.map(row => row.blob_id))
}

async function listLiveBlobs(db: Db, after: BlobId | null, batch: number): Promise<readonly LiveBlob[]> {
  const rows = await db
    .selectFrom('blobs')
    .select(['blob_id', 'part_bytes', 'state', 'size_bytes'])
    .where('deleted_at', 'is', null)
    .where('blob_id', '>', after ?? '')
    .orderBy('blob_id')
    .limit(batch)
    .execute()
  return rows.map(row => ({
    blobId: row.blob_id,
    partBytes: row.part_bytes,
    state: row.state,
    sizeBytes: row.size_bytes,
  }))
}

/** The lock of the blob excludes new leases of it. */
async function endBlob(db: Db, blobId: BlobId, now: number): Promise<number> {
  await lockBlobsExclusively(db, [blobId])
  const leases = await db
    .selectFrom('leases')
    .select('media_id')
    .where('blob_id', '=', blobId)
    .where('ended_at', 'is', null)
    .execute()
  return endLeases(
    db,
    leases.map(lease => lease.media_id),
    now,
  )
}

async function totals(db: Db): Promise<StorageTotals> {
  const [blobs, charged, unfinished, leases, parcels, tombstones] = await Promise.all([
    db
      .selectFrom('blobs')
      .select(eb => [eb.fn.countAll<number>().as('count'), eb.fn.sum<number | string | null>('size_bytes').as('bytes')])
      .where('state', '=', COMPLETE)
      .where('deleted_at', 'is', null)
      .executeTakeFirstOrThrow(),
    db
      .selectFrom('client_usage')
      .select(eb => [
        eb.fn.sum<number | string | null>('reserved_bytes').as('reserved'),
        eb.fn.sum<number | string | null>('pending_uploads').as('pending'),
      ])
      .executeTakeFirstOrThrow(),
    db
      .selectFrom('blobs')
      .select(eb => eb.fn.min<number | null>('created_at').as('oldest'))
      .where('state', '<>', COMPLETE)
      .where('deleted_at', 'is', null)
      .executeTakeFirstOrThrow(),
    countWhereNull(db, 'leases'),
    countWhereNull(db, 'parcels'),
    db
      .selectFrom('blobs')
      .select(eb => eb.fn.countAll<number>().as('count'))
      .where('deleted_at', 'is not', null)
      .where('purged_at', 'is', null)
      .executeTakeFirstOrThrow(),
  ])
  return {
    blobs: blobs.count,
    blobBytes: Number(blobs.bytes ?? 0),
    reservedBytes: Number(charged.reserved ?? 0),
    pendingUploads: Number(charged.pending ?? 0),
    leases,
    parcels,
    tombstones: tombstones.count,
    oldestUploadAt: unfinished.oldest,
  }
}

async function countWhereNull(db: Db, table: 'leases' | 'parcels'): Promise<number> {
  const row = await db
    .selectFrom(table)
    .select(eb => eb.fn.countAll<number>().as('count'))
    .where('ended_at', 'is', null)
    .executeTakeFirstOrThrow()
  return row.count
}

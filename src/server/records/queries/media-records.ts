import type { Selectable } from 'kysely'

import { SealiftError } from '../../../protocol/errors.ts'
import { owns } from '../ownership.ts'
import { abandonable, type Db, type RecordDatabase, prepared } from './transactions.ts'
import { endLeases } from './end-leases.ts'
import { insertKey } from './idempotency.ts'
import { exhausted, returnDownload, takeDownload, termsOfForward, wasTaken } from './download-counts.ts'
import { adjustUsage, checkRows, checkStored, lockUsage, rowsOfLease, type AddedUsage } from './quota-usage.ts'
import { lockForForward } from './locks.ts'
import type { MediaRecords } from '../record-store.ts'
import type { MediaRecord, NewForward, OwnershipProof, StorageCaps } from '../record-types.ts'
import { findMedia, type MediaRow, mediaFromRow, selectMedia } from './rows.ts'
import type { LeasesTable } from '../schema.ts'
import { newLease } from './upload-records.ts'

export function createMediaRecords(database: RecordDatabase): MediaRecords {
  const { read } = database
  const mediaById = prepared<MediaRow>(read, () => selectMedia(read, ''))
  const prefixOf = prepared<{ prefix_bytes: number }>(read, () =>
    read.selectFrom('blobs').select('prefix_bytes').where('blob_id', '=', ''),
  )
  const liveGrant = prepared<{ grant_id: string }>(read, () =>
    read
      .selectFrom('grants')
      .select('grant_id')
      .where('media_id', '=', eb => eb.selectFrom('leases').select('counter_id').where('media_id', '=', ''))
      .where('grant_id', '=', '')
      .where('expires_at', '>', 0),
  )
  return {
    async findMedia(mediaId, signal) {
      const [row] = await abandonable(mediaById(mediaId), signal)
      return row ? abandonable(mediaFromRow(read, row), signal) : null
    },
    async durablePrefix(blobId, signal) {
      const [row] = await abandonable(prefixOf(blobId), signal)
      return row?.prefix_bytes ?? 0
    },
    addLease: (forward, signal) => database.write((db, again) => addLease(db, forward, again), signal),
    endLease: (mediaId, proof, now, signal) => database.write(db => endLease(db, mediaId, proof, now), signal),
    takeDownload: (mediaId, grant, now, signal) =>
      database.write(async (db, again) => {
        if (!again || !(await wasTaken(db, mediaId, grant.grantId))) await takeDownload(db, mediaId, grant, now)
      }, signal),
    async hasGrant(mediaId, grantId, now, signal) {
      return (await abandonable(liveGrant(mediaId, grantId, now), signal)).length > 0
    },
    returnDownload: (mediaId, grantId, signal) => database.write(db => returnDownload(db, mediaId, grantId), signal),
  }
}

async function addLease(
  db: Db,
  { fromMediaId, lease, caps, idempotency }: NewForward,
  again: boolean,
): Promise<MediaRecord> {
  const { createdId, rows } = await insertKey(db, idempotency, lease.mediaId, lease.createdAt)
  if (createdId !== null) return existingMedia(db, createdId)
  // Checked before the lock: an unfinished upload is not locked, since its sender writes to it.
  const seen = await findMedia(db, fromMediaId)
  if (seen && !again) assertForwardable(seen, lease.createdAt)
  const source = seen && (await lockedSource(db, seen))
  if (!source) throw new SealiftError('not_found', 'There is no such media item')
  const committed = again ? await findMedia(db, lease.mediaId) : null
  if (committed) return committed
  assertForwardable(source, lease.createdAt)
  const fresh = newLease(lease, source.blobId)
  const row = { ...fresh, ...(await termsOfForward(db, source, lease)) }
  await db.insertInto('leases').values(row).execute()
  const media = await existingMedia(db, lease.mediaId)
  const added = { bytes: media.sizeBytes ?? 0, rows: rows + rowsOfLease(row.downloads_left) }
  await chargeHolder(db, media, added, caps)
  return media
}

/** @throws gone when it was purged */
async function existingMedia(db: Db, mediaId: string): Promise<MediaRecord> {
  const media = await findMedia(db, mediaId)
  if (!media) throw new SealiftError('gone', 'The media item that this Idempotency-Key created is gone')
  return media
}

async function lockedSource(db: Db, { blobId, mediaId }: MediaRecord): Promise<MediaRecord | null> {
  await lockForForward(db, blobId)
  return findMedia(db, mediaId)
}

/** @throws gone, downloads_exhausted, upload_in_progress */
function assertForwardable(source: MediaRecord, now: number): void {
  if (source.endedAt !== null || source.expiresAt <= now) throw new SealiftError('gone', 'The media item is gone')
  if (source.maxDownloads !== null && source.downloadsUsed >= source.maxDownloads) throw exhausted()
  if (source.state === 'complete') return
  throw new SealiftError('upload_in_progress', 'The media item is still being uploaded: forward it when it is complete')
}

/**
 * A client is charged once for the bytes of a blob, however many leases of it it holds. Of two concurrent new leases,
 * the lock of the client's row lets the second see the first. Last, since other changes of this client wait until the
 * commit.
 * @throws quota_exceeded
 */
async function chargeHolder(db: Db, media: MediaRecord, added: AddedUsage, caps: StorageCaps): Promise<void> {
  const { mediaId, blobId, clientId } = media
  const usage = await lockUsage(db, clientId)
  const held = await db
    .selectFrom('leases')
    .select('media_id')
    .where('blob_id', '=', blobId)
    .where('client_id', '=', clientId)
    .where('media_id', '<>', mediaId)
    .where('ended_at', 'is', null)
    .limit(1)
    .executeTakeFirst()
  const bytes = held ? 0 : added.bytes
  if (!held) checkStored(usage, bytes, caps)
  checkRows(usage, added.rows, caps)
  await adjustUsage(db, clientId, { storedBytes: bytes, storedRows: added.rows })
}

async function endLease(db: Db, mediaId: string, proof: OwnershipProof, now: number): Promise<void> {
  const lease = await findLease(db, mediaId)
  if (!lease || !owns(proof, lease)) throw new SealiftError('not_found', 'There is no such media item')
  await endLeases(db, [mediaId], now)
}

function findLease(db: Db, mediaId: string): Promise<Selectable<LeasesTable> | undefined> {
  return db.selectFrom('leases').selectAll().where('media_id', '=', mediaId).executeTakeFirst()
}

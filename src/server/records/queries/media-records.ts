import type { Selectable } from 'kysely'

import { SealiftError } from '../../../protocol/errors.ts'
import { owns } from '../ownership.ts'
import { type Db, type RecordDatabase, prepared } from './database.ts'
import { endLeases } from './end-leases.ts'
import { claimKey } from './idempotency.ts'
import { exhausted, returnDownload, takeDownload, termsOfForward, wasTaken } from './download-counts.ts'
import { adjustUsage, checkRows, checkStored, lockUsage, rowsOfLease, type Addition } from './quota-usage.ts'
import { keepBlob } from './locks.ts'
import type { OwnershipProof, Idempotency, MediaRecord, MediaRecords, NewLease, StorageCaps } from '../record-store.ts'
import { findMedia, type MediaRow, mediaFromRow, selectMedia } from './rows.ts'
import type { LeasesTable } from '../schema.ts'
import { newLease } from './upload-records.ts'

interface Forward {
  readonly fromMediaId: string
  readonly lease: NewLease
  readonly caps: StorageCaps
  readonly idempotency: Idempotency | null
}

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
    async findMedia(mediaId) {
      const [row] = await mediaById(mediaId)
      return row ? mediaFromRow(read, row) : null
    },
    async durablePrefix(blobId) {
      const [row] = await prefixOf(blobId)
      return row?.prefix_bytes ?? 0
    },
    addLease: (fromMediaId, lease, caps, idempotency) =>
      database.write((db, again) => addLease(db, { fromMediaId, lease, caps, idempotency }, again)),
    endLease: (mediaId, claim, now) => database.write(db => endLease(db, mediaId, claim, now)),
    takeDownload: (mediaId, grant, now) =>
      database.write(async (db, again) => {
        if (!again || !(await wasTaken(db, mediaId, grant.grantId))) await takeDownload(db, mediaId, grant, now)
      }),
    async hasGrant(mediaId, grantId, now) {
      return (await liveGrant(mediaId, grantId, now)).length > 0
    },
    returnDownload: (mediaId, grantId) => database.write(db => returnDownload(db, mediaId, grantId)),
  }
}

async function addLease(
  db: Db,
  { fromMediaId, lease, caps, idempotency }: Forward,
  again: boolean,
): Promise<MediaRecord> {
  const { madeId, rows } = await claimKey(db, idempotency, lease.mediaId, lease.createdAt)
  if (madeId !== null) return existingMedia(db, madeId)
  // What cannot be forwarded is not locked either: its sender needs it.
  const seen = await findMedia(db, fromMediaId)
  if (seen && !again) assertForwardable(seen, lease.createdAt)
  const source = seen && (await lockedSource(db, seen))
  if (!source) throw new SealiftError('not_found', 'There is no such media')
  const made = again ? await findMedia(db, lease.mediaId) : null
  if (made) return made
  assertForwardable(source, lease.createdAt)
  const fresh = newLease(lease, source.blobId)
  const row = { ...fresh, ...(await termsOfForward(db, source, lease)) }
  await db.insertInto('leases').values(row).execute()
  const media = await existingMedia(db, lease.mediaId)
  const added = { bytes: media.sizeBytes ?? 0, rows: rows + rowsOfLease(row.downloads_left) }
  await chargeHolder(db, media, added, caps)
  return media
}

/** @throws gone when it was purged since */
async function existingMedia(db: Db, mediaId: string): Promise<MediaRecord> {
  const media = await findMedia(db, mediaId)
  if (!media) throw new SealiftError('gone', 'What this Idempotency-Key made is gone by now')
  return media
}

async function lockedSource(db: Db, { blobId, mediaId }: MediaRecord): Promise<MediaRecord | null> {
  await keepBlob(db, blobId)
  return findMedia(db, mediaId)
}

/** @throws gone, downloads_exhausted, upload_in_progress */
function assertForwardable(source: MediaRecord, now: number): void {
  if (source.endedAt !== null || source.expiresAt <= now) throw new SealiftError('gone', 'The media is gone by now')
  if (source.maxDownloads !== null && source.downloadsUsed >= source.maxDownloads) throw exhausted()
  if (source.state === 'complete') return
  throw new SealiftError('upload_in_progress', 'The media is still being uploaded: forward it when it is complete')
}

/**
 * A client is charged once for the bytes of a blob, however many leases of it it holds; of two new ones at once, the lock
 * of its row lets the second see the first. Comes last, since all others of this client wait from here until the commit.
 * @throws quota_exceeded
 */
async function chargeHolder(db: Db, media: MediaRecord, added: Addition, caps: StorageCaps): Promise<void> {
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

async function endLease(db: Db, mediaId: string, claim: OwnershipProof, now: number): Promise<void> {
  const lease = await findLease(db, mediaId)
  if (!lease || !owns(claim, lease)) throw new SealiftError('not_found', 'There is no such media')
  await endLeases(db, [mediaId], now)
}

function findLease(db: Db, mediaId: string): Promise<Selectable<LeasesTable> | undefined> {
  return db.selectFrom('leases').selectAll().where('media_id', '=', mediaId).executeTakeFirst()
}

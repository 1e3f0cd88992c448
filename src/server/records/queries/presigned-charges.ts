/**
 * [Note: presigned charges] A presigned URL with which a client stores a part works until it expires, even after its
 * upload is aborted, completed without the part, or its media item ends. The bytes that such URLs may still bring are
 * charged to the client as stored until the URLs have expired and these bytes were deleted (again). They are not
 * `reserved`: the upload is over, and the limit on unfinished uploads must not keep the client from beginning it
 * again.
 */
import { sql } from 'kysely'

import type { BlobId } from '../../blobs/blob-store.ts'
import type { Db } from './transactions.ts'
import { adjustUsage } from './quota-usage.ts'
import { lockBlobsExclusively, lockUpload } from './locks.ts'
import type { ClientId, PresignedCharge } from '../record-types.ts'

/** A literal in the SQL, so that the partial index is used. */
export const ZERO = sql.lit<number>(0)

/** How many of `bytes` stay charged when the upload, or its media item, ends at `now`. */
export function presignedBytes(now: number, presignedUntil: number | null, bytes: number): number {
  return presignedUntil !== null && presignedUntil > now ? bytes : 0
}

/** After a complete blob ends: presigned URLs may store its bytes again. @returns the client to be charged for them */
export async function chargePresignedBlob(db: Db, blobId: BlobId, bytes: number): Promise<ClientId | null> {
  const upload = await db
    .updateTable('uploads')
    .set(eb => ({ reserved_bytes: eb('reserved_bytes', '+', bytes) }))
    .where('blob_id', '=', blobId)
    .returning('client_id')
    .executeTakeFirst()
  return upload?.client_id ?? null
}

export async function listPresignedCharges(
  db: Db,
  now: number,
  after: string | null,
  batch: number,
): Promise<readonly PresignedCharge[]> {
  const rows = await db
    .selectFrom('uploads')
    .innerJoin('blobs', 'blobs.blob_id', 'uploads.blob_id')
    .select(['uploads.upload_id', 'blobs.blob_id', 'blobs.part_bytes', 'blobs.state', 'blobs.size_bytes'])
    .select('blobs.deleted_at')
    .where('uploads.finished_at', 'is not', null)
    .where('uploads.reserved_bytes', '>', ZERO)
    .where('blobs.addresses_until', '<=', now)
    .where('uploads.upload_id', '>', after ?? '')
    .orderBy('uploads.upload_id')
    .limit(batch)
    .execute()
  return rows.map(row => ({
    uploadId: row.upload_id,
    blob: { blobId: row.blob_id, partBytes: row.part_bytes, state: row.state, sizeBytes: row.size_bytes },
    deleted: row.deleted_at !== null,
  }))
}

export async function releasePresignedCharge(db: Db, uploadId: string, now: number): Promise<void> {
  const known = await db.selectFrom('uploads').select('blob_id').where('upload_id', '=', uploadId).executeTakeFirst()
  // An upload completed without some presigned parts is live, and forwards may lock its blob continuously.
  if (known) await lockBlobsExclusively(db, [known.blob_id])
  const { state, clientId, presignedUntil, reservedBytes } = await lockUpload(db, uploadId)
  const isOver = state === 'complete' || state === 'aborted'
  if (!isOver || reservedBytes === 0 || presignedBytes(now, presignedUntil, reservedBytes) > 0) return
  await db.updateTable('uploads').set({ reserved_bytes: 0 }).where('upload_id', '=', uploadId).execute()
  await adjustUsage(db, clientId, { storedBytes: -reservedBytes })
}

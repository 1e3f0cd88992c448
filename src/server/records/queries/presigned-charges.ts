/**
 * [Note: held bytes] An address by which a client stores a part itself works until it expires, whatever becomes of its
 * upload. What such addresses may still bring when the upload is given up, completed without it, or its media ends, is
 * charged to its client as stored until they have expired and what they brought was deleted (once more). It is not
 * `reserved`: the upload is over, and must not keep its sender from beginning it anew.
 */
import { sql } from 'kysely'

import type { BlobId } from '../../blobs/blob-store.ts'
import type { Db } from './database.ts'
import { adjustUsage } from './quota-usage.ts'
import { lockKeptBlobs, lockUpload } from './locks.ts'
import type { ClientId, PresignedCharge } from '../record-store.ts'

/** Written into the text of a query, so that its partial index is used. */
export const NOTHING = sql.lit<number>(0)

/** What of `bytes` stays charged when the upload, or its media, ends `now`. */
export function heldAfter(now: number, presignedUntil: number | null, bytes: number): number {
  return presignedUntil !== null && presignedUntil > now ? bytes : 0
}

/** All that a complete blob held, which may now be stored again. @returns who is to be charged for it */
export async function holdBlob(db: Db, blobId: BlobId, bytes: number): Promise<ClientId | null> {
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
    .where('uploads.reserved_bytes', '>', NOTHING)
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
  // What was completed without some of its addresses lives, and may be forwarded without a pause.
  if (known) await lockKeptBlobs(db, [known.blob_id])
  const { state, clientId, presignedUntil, reservedBytes } = await lockUpload(db, uploadId)
  const isOver = state === 'complete' || state === 'aborted'
  if (!isOver || reservedBytes === 0 || heldAfter(now, presignedUntil, reservedBytes) > 0) return
  await db.updateTable('uploads').set({ reserved_bytes: 0 }).where('upload_id', '=', uploadId).execute()
  await adjustUsage(db, clientId, { storedBytes: -reservedBytes })
}

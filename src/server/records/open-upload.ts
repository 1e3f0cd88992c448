import { SealiftError } from '../../protocol/errors.ts'
import type { Db } from './database.ts'
import type { UploadRecord } from './record-store.ts'
import { selectUpload, toUpload } from './rows.ts'

/** An upload with its blob's row locked, whatever its state. */
export interface LockedUpload extends UploadRecord {
  readonly reservedBytes: number
  /** Durable parts from the start without a gap, and their bytes. */
  readonly prefixParts: number
  readonly prefixBytes: number
  /** One past the highest durable part. */
  readonly endParts: number
  readonly shortPart: number | null
}

/** Locks a blob's row ([Note: row locks] in database.ts); everything about its upload and leases hangs on it. */
export async function lockBlobs(db: Db, blobIds: readonly string[]): Promise<void> {
  for (const blobId of [...new Set(blobIds)].sort()) {
    await db
      .updateTable('blobs')
      .set(eb => ({ blob_id: eb.ref('blob_id') }))
      .where('blob_id', '=', blobId)
      .execute()
  }
}

/** @throws not_found */
export async function lockUpload(db: Db, uploadId: string): Promise<LockedUpload> {
  const known = await db.selectFrom('uploads').select('blob_id').where('upload_id', '=', uploadId).executeTakeFirst()
  if (known) await lockBlobs(db, [known.blob_id])
  const row = await selectUpload(db, uploadId).executeTakeFirst()
  const blob = row && (await selectPrefix(db, row.blob_id))
  if (!row || !blob) throw new SealiftError('not_found', 'There is no such upload')
  return {
    ...toUpload(row),
    reservedBytes: row.reserved_bytes,
    prefixParts: blob.prefix_parts,
    prefixBytes: blob.prefix_bytes,
    endParts: blob.end_parts,
    shortPart: blob.short_part,
  }
}

function selectPrefix(db: Db, blobId: string) {
  return db
    .selectFrom('blobs')
    .select(['prefix_parts', 'prefix_bytes', 'end_parts', 'short_part'])
    .where('blob_id', '=', blobId)
    .executeTakeFirst()
}

/** @throws gone */
export function assertNotAborted(upload: UploadRecord): void {
  if (upload.state === 'aborted') throw new SealiftError('gone', 'The upload was given up, expired or deleted')
}

/** @throws gone, upload_complete */
export function assertTakesParts(upload: UploadRecord): void {
  assertNotAborted(upload)
  if (upload.state !== 'uploading')
    throw new SealiftError('upload_complete', 'The upload is complete; it takes no part')
}

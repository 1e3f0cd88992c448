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

/** Blobs named in one statement. */
const STEP = 500

/** Locks blobs' rows ([Note: row locks] in database.ts); everything about their uploads and leases hangs on them. */
export async function lockBlobs(db: Db, blobIds: readonly string[]): Promise<void> {
  const ascending = [...new Set(blobIds)].sort()
  for (let from = 0; from < ascending.length; from += STEP) {
    const step = ascending.slice(from, from + STEP)
    await db.selectFrom('blobs').select('blob_id').where('blob_id', 'in', step).orderBy('blob_id').forUpdate().execute()
  }
}

/** Many may keep a blob from being ended at once, as forwards of it do; whoever changes it waits for all of them. */
export async function keepBlob(db: Db, blobId: string): Promise<void> {
  await db.selectFrom('blobs').select('blob_id').where('blob_id', '=', blobId).forShare().execute()
}

/** @throws not_found */
export async function lockUpload(db: Db, uploadId: string): Promise<LockedUpload> {
  const known = await db.selectFrom('uploads').select('blob_id').where('upload_id', '=', uploadId).executeTakeFirst()
  if (known) await lockBlobs(db, [known.blob_id])
  const row = await selectWithPrefix(db, uploadId).executeTakeFirst()
  if (!row) throw new SealiftError('not_found', 'There is no such upload')
  return {
    ...toUpload(row),
    reservedBytes: row.reserved_bytes,
    prefixParts: row.prefix_parts,
    prefixBytes: row.prefix_bytes,
    endParts: row.end_parts,
    shortPart: row.short_part,
  }
}

function selectWithPrefix(db: Db, uploadId: string) {
  return selectUpload(db, uploadId).select(eb => {
    const blob = eb.selectFrom('blobs').whereRef('blobs.blob_id', '=', 'uploads.blob_id')
    return [
      blob.select('prefix_parts').$asScalar().$notNull().as('prefix_parts'),
      blob.select('prefix_bytes').$asScalar().$notNull().as('prefix_bytes'),
      blob.select('end_parts').$asScalar().$notNull().as('end_parts'),
      blob.select('short_part').$asScalar().as('short_part'),
    ]
  })
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

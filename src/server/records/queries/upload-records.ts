import { SealiftError } from '../../../protocol/errors.ts'
import { abandonable, type Db, type RecordDatabase, prepared } from './transactions.ts'
import { endLeases } from './end-leases.ts'
import { finishUpload, finishInOneStep, finalizeUpload } from './finish-upload.ts'
import { insertKey, reassignKey } from './idempotency.ts'
import { checkMediaSize, lockUsage, reserveUpload, rowsOfLease } from './quota-usage.ts'
import { lockUpload } from './locks.ts'
import type { UploadRecords } from '../record-store.ts'
import type { NewLease, NewUpload, PartRecord, UploadRecord } from '../record-types.ts'
import { selectUpload, toPart, toUpload, type UploadRow } from './rows.ts'
import type { BlobsTable } from '../schema.ts'
import { reservePresignedPart, findPart, recordPart, reservePart } from './upload-parts.ts'

export function createUploadRecords(database: RecordDatabase): UploadRecords {
  const { read } = database
  const uploadById = prepared<UploadRow>(read, () => selectUpload(read, ''))
  return {
    beginUpload: (upload, signal) => database.write((db, again) => beginUpload(db, upload, again), signal),
    async findUpload(uploadId, signal) {
      const [row] = await abandonable(uploadById(uploadId), signal)
      return row ? toUpload(row) : null
    },
    reservePart: (uploadId, part, caps, signal) => database.write(db => reservePart(db, uploadId, part, caps), signal),
    reservePresignedPart: (uploadId, part, caps, signal) =>
      database.write(db => reservePresignedPart(db, uploadId, part, caps), signal),
    recordPart: (uploadId, part, expiresAt, signal) =>
      database.write(db => recordPart(db, uploadId, part, expiresAt), signal),
    findPart: (blobId, index, signal) => abandonable(findPart(read, blobId, index), signal),
    listParts: (blobId, signal) => abandonable(listParts(read, blobId), signal),
    finalizeUpload: (uploadId, sizeBytes, signal) =>
      database.write(db => finalizeUpload(db, uploadId, sizeBytes), signal),
    finishUpload: (uploadId, now, signal) => database.write(db => finishUpload(db, uploadId, now), signal),
    finishInOneStep: (uploadId, end, signal) => database.write(db => finishInOneStep(db, uploadId, end), signal),
    abortUpload: (uploadId, now, signal) => database.write(db => abortUpload(db, uploadId, now), signal),
  }
}

async function beginUpload(db: Db, upload: NewUpload, again: boolean): Promise<UploadRecord> {
  const { createdId, rows } = await insertKey(db, upload.idempotency, upload.uploadId, upload.lease.createdAt)
  const existing = createdId === null ? null : await usableUpload(db, createdId)
  if (existing) return existing
  if (createdId !== null && upload.idempotency) await reassignKey(db, upload.idempotency, upload.uploadId)
  const begun = again ? await alreadyBegun(db, upload) : null
  if (begun) return begun
  const reservedBytes = upload.declaredBytes ?? 0
  checkMediaSize(reservedBytes, upload.caps.maxBytes)
  await insertUpload(db, upload)
  const row = await selectUpload(db, upload.uploadId).executeTakeFirstOrThrow()
  // Last, since other changes of this client wait from here until the commit.
  const added = { bytes: reservedBytes, rows: rows + rowsOfLease(upload.lease.maxDownloads) }
  await reserveUpload(db, upload.lease.clientId, added, upload.caps)
  return toUpload(row)
}

/** What this call created in an earlier commit of unknown outcome ([Note: unknown commits] in transactions.ts). */
async function alreadyBegun(db: Db, { uploadId, lease }: NewUpload): Promise<UploadRecord | null> {
  await lockUsage(db, lease.clientId)
  const row = await selectUpload(db, uploadId).executeTakeFirst()
  return row ? toUpload(row) : null
}

/** The upload of an idempotency key, unless it was aborted since: then the same request may begin again. */
async function usableUpload(db: Db, uploadId: string): Promise<UploadRecord | null> {
  const row = await selectUpload(db, uploadId).executeTakeFirst()
  const upload = row ? toUpload(row) : null
  return upload?.state === 'aborted' ? null : upload
}

async function insertUpload(db: Db, upload: NewUpload): Promise<void> {
  const { lease, blobId } = upload
  await db.insertInto('blobs').values(emptyBlob(upload)).execute()
  await db.insertInto('leases').values(newLease(lease, blobId)).execute()
  await db
    .insertInto('uploads')
    .values({
      upload_id: upload.uploadId,
      blob_id: blobId,
      media_id: lease.mediaId,
      client_id: lease.clientId,
      owner_hash: lease.ownerHash,
      reserved_bytes: upload.declaredBytes ?? 0,
      max_bytes: upload.caps.maxBytes,
      expires_at: upload.expiresAt,
      finished_at: null,
    })
    .execute()
}

function emptyBlob({ blobId, partBytes, declaredBytes, lease }: NewUpload): BlobsTable {
  return {
    blob_id: blobId,
    part_bytes: partBytes,
    state: 'uploading',
    declared_bytes: declaredBytes,
    size_bytes: null,
    prefix_parts: 0,
    prefix_bytes: 0,
    end_parts: 0,
    short_part: null,
    created_at: lease.createdAt,
    deleted_at: null,
    purged_at: null,
    addresses_until: null,
  }
}

/** The row of a new lease on a blob, with its own count if `maxDownloads` is set. */
export function newLease(lease: NewLease, blobId: string) {
  return {
    media_id: lease.mediaId,
    blob_id: blobId,
    client_id: lease.clientId,
    owner_hash: lease.ownerHash,
    created_at: lease.createdAt,
    expires_at: lease.expiresAt,
    max_downloads: lease.maxDownloads,
    downloads_left: lease.maxDownloads,
    ended_at: null,
    counter_id: lease.maxDownloads === null ? null : lease.mediaId,
    above_id: null,
    source_id: null,
  }
}

async function listParts(db: Db, blobId: string): Promise<readonly PartRecord[]> {
  // Parts first: they are deleted when the upload completes, which may happen between the two queries.
  const rows = await db.selectFrom('parts').selectAll().where('blob_id', '=', blobId).orderBy('part_index').execute()
  const blob = await db
    .selectFrom('blobs')
    .select(['state', 'size_bytes', 'part_bytes'])
    .where('blob_id', '=', blobId)
    .executeTakeFirst()
  return blob?.state === 'complete' ? partsOfComplete(blob.size_bytes ?? 0, blob.part_bytes) : rows.map(toPart)
}

function partsOfComplete(sizeBytes: number, partBytes: number): readonly PartRecord[] {
  return Array.from({ length: Math.ceil(sizeBytes / partBytes) }, (_, index) => ({
    index,
    sizeBytes: Math.min(partBytes, sizeBytes - index * partBytes),
    durable: true,
  }))
}

async function abortUpload(db: Db, uploadId: string, now: number): Promise<void> {
  const upload = await lockUpload(db, uploadId)
  if (upload.state === 'aborted') return
  if (upload.state !== 'uploading') {
    throw new SealiftError('upload_complete', 'The upload is complete: end its lease to delete the media item')
  }
  await endLeases(db, [upload.mediaId], now)
}

/** The last steps of an upload: its size is fixed, then its reservation becomes a charge. */
import { SealiftError } from '../../../protocol/errors.ts'
import type { Db } from './transactions.ts'
import { adjustUsage, checkMediaSize, checkStored, lockUsage } from './quota-usage.ts'
import { presignedBytes } from './presigned-charges.ts'
import { assertNotAborted, type LockedUpload, lockUpload } from './locks.ts'
import type { MediaRecord, QuotaCaps, UploadRecord } from '../record-types.ts'
import { findMedia } from './rows.ts'
import { dropParts } from './upload-parts.ts'

/** Runs of missing parts that an error names. */
const MISSING_RUNS_LISTED = 100

export async function finalizeUpload(db: Db, uploadId: string, sizeBytes: number): Promise<UploadRecord> {
  const upload = await lockUpload(db, uploadId)
  assertNotAborted(upload)
  checkAgreed(upload, sizeBytes)
  if (upload.state !== 'uploading') return upload
  checkMediaSize(sizeBytes, upload.maxBytes)
  await checkComplete(db, upload, sizeBytes)
  await db
    .updateTable('blobs')
    .set({ state: 'completing', size_bytes: sizeBytes })
    .where('blob_id', '=', upload.blobId)
    .execute()
  return { ...upload, state: 'completing', sizeBytes }
}

export async function finishUpload(db: Db, uploadId: string, now: number): Promise<MediaRecord> {
  const upload = await lockUpload(db, uploadId)
  assertNotAborted(upload)
  if (upload.state === 'uploading') {
    throw new SealiftError('upload_in_progress', 'The upload was not finalized yet: its size is not fixed')
  }
  if (upload.state === 'completing') await complete(db, upload, upload.sizeBytes ?? 0, now)
  return mediaOf(db, upload)
}

export async function finishInOneStep(
  db: Db,
  uploadId: string,
  { sizeBytes, caps, now }: { readonly sizeBytes: number; readonly caps: QuotaCaps; readonly now: number },
): Promise<MediaRecord> {
  const upload = await lockUpload(db, uploadId)
  assertNotAborted(upload)
  checkAgreed(upload, sizeBytes)
  if (upload.state === 'complete') return mediaOf(db, upload)
  checkMediaSize(sizeBytes, upload.maxBytes)
  const moreBytes = sizeBytes - upload.reservedBytes
  if (moreBytes > 0) checkStored(await lockUsage(db, upload.clientId), moreBytes, caps)
  await complete(db, upload, sizeBytes, now)
  return mediaOf(db, upload)
}

/** @throws size_mismatch */
function checkAgreed({ sizeBytes, declaredBytes }: UploadRecord, claimedBytes: number): void {
  const agreedBytes = sizeBytes ?? declaredBytes
  if (agreedBytes === null || agreedBytes === claimedBytes) return
  throw new SealiftError('size_mismatch', `The upload holds ${agreedBytes} bytes, not ${claimedBytes}`, {
    context: { sizeBytes: agreedBytes },
  })
}

/** @throws parts_missing, size_mismatch */
async function checkComplete(db: Db, upload: LockedUpload, sizeBytes: number): Promise<void> {
  const partCount = Math.ceil(sizeBytes / upload.partBytes)
  if (upload.prefixBytes === sizeBytes && upload.endParts === partCount) return
  const missing = upload.prefixParts >= partCount ? [] : await missingRuns(db, upload, partCount)
  if (missing.length === 0) {
    throw new SealiftError('size_mismatch', `The stored parts do not make up ${sizeBytes} bytes`, {
      context: { durableBytes: upload.prefixBytes },
    })
  }
  throw new SealiftError('parts_missing', 'Some parts are not stored yet: send them, then complete again', {
    context: { missing },
  })
}

/** Runs of absent parts below `partCount`, both ends inclusive; the first ones when there are many. */
async function missingRuns(db: Db, { blobId, prefixParts }: LockedUpload, partCount: number) {
  const rows = await db
    .selectFrom('parts')
    .select('part_index')
    .where('blob_id', '=', blobId)
    .where('durable', '=', 1)
    .where('part_index', '>=', prefixParts)
    .where('part_index', '<', partCount)
    .orderBy('part_index')
    .execute()
  const runs: [number, number][] = []
  let expected = prefixParts
  for (const { part_index: index } of [...rows, { part_index: partCount }]) {
    if (index > expected && runs.length < MISSING_RUNS_LISTED) runs.push([expected, index - 1])
    expected = index + 1
  }
  return runs
}

async function complete(db: Db, upload: LockedUpload, sizeBytes: number, now: number): Promise<void> {
  const { uploadId, blobId, clientId, reservedBytes } = upload
  await db.updateTable('blobs').set(completeBlob(upload, sizeBytes)).where('blob_id', '=', blobId).execute()
  // Parts past the end that presigned URLs may still bring.
  const laterBytes = presignedBytes(now, upload.presignedUntil, Math.max(0, reservedBytes - sizeBytes))
  await db
    .updateTable('uploads')
    .set({ reserved_bytes: laterBytes, finished_at: now })
    .where('upload_id', '=', uploadId)
    .execute()
  const partRows = await dropParts(db, blobId, upload.declaredBytes)
  await adjustUsage(db, clientId, {
    storedBytes: sizeBytes + laterBytes,
    storedRows: -partRows,
    reservedBytes: -reservedBytes,
    pendingUploads: -1,
  })
}

function completeBlob({ partBytes }: UploadRecord, sizeBytes: number) {
  const parts = Math.ceil(sizeBytes / partBytes)
  return {
    state: 'complete' as const,
    size_bytes: sizeBytes,
    prefix_parts: parts,
    prefix_bytes: sizeBytes,
    end_parts: parts,
  }
}

async function mediaOf(db: Db, { mediaId }: UploadRecord): Promise<MediaRecord> {
  const media = await findMedia(db, mediaId)
  if (!media) throw new SealiftError('gone', 'The media item has expired or was deleted')
  return media
}

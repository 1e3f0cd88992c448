import type { BlobId, BlobStore } from '../blobs/blob-store.ts'
import type { Clock } from '../clock.ts'
import type { RecordStore, UpkeepRecords } from '../records/record-store.ts'
import type { PresignedCharge } from '../records/record-types.ts'
import { BATCH } from './expire.ts'
import { canCheck, checkBlob, deleteUnusedParts, unusedBytesOf } from './check-blobs.ts'

export interface DeleteBlobs {
  readonly blobs: BlobStore
  readonly records: UpkeepRecords
  readonly clock: Clock
  readonly failed: (error: unknown, blobId: BlobId) => void
}

/** Concurrent deletions: each is a few requests to a store that may be remote. */
export const DELETIONS_AT_ONCE = 8

/**
 * Deletes the bytes of every tombstone, then purges it. After a crash in between the deletion repeats, which is no
 * error.
 */
export async function deleteBlobs(deps: DeleteBlobs, signal: AbortSignal): Promise<number> {
  let total = 0
  for (;;) {
    const tombstones = await deps.records.listTombstones(BATCH, signal)
    const deleted = await countDone(tombstones, ({ blobId }) => deleteBlob(deps, blobId), signal)
    total += deleted
    // Without progress, the rest waits for the next sweep, where it comes before what failed.
    if (deleted === 0 || tombstones.length < BATCH) return total
  }
}

/**
 * Works on several items concurrently. Settles, also after an abort, only when no work is in flight.
 * @returns how often `work` returned true
 */
export async function countDone<T>(
  items: readonly T[],
  work: (item: T) => Promise<boolean>,
  signal: AbortSignal,
): Promise<number> {
  const left = items.values()
  let done = 0
  const lane = async () => {
    for (const item of left) {
      if (signal.aborted) return
      if (await work(item)) done += 1
    }
  }
  await Promise.all(Array.from({ length: DELETIONS_AT_ONCE }, lane))
  signal.throwIfAborted()
  return done
}

async function deleteBlob(deps: DeleteBlobs, blobId: BlobId): Promise<boolean> {
  const { blobs, records, failed } = deps
  try {
    await blobs.delete(blobId)
    await records.purgeBlob(blobId)
    return true
  } catch (error) {
    failed(error, blobId)
    await postpone(deps, blobId)
    return false
  }
}

/** Some blobs can never be deleted (an object lock, for example); they must not delay the others. */
async function postpone({ records, clock }: DeleteBlobs, blobId: BlobId): Promise<void> {
  // If the records are unavailable too, this blob comes first again.
  await records.postponeTombstone(blobId, clock()).catch(() => undefined)
}

export interface ReleasePresigned {
  readonly blobs: BlobStore
  readonly records: RecordStore
  readonly failed: (error: unknown, blobId: string) => void
}

/**
 * Once presigned URLs have expired, deletes the bytes that they brought to finished uploads, and releases the charge.
 * Each is tried once; a failed one waits for the next sweep and does not delay the others. Repeating it is no error.
 * @returns uploads whose charge was released
 */
export async function releasePresigned(deps: ReleasePresigned, now: number, signal: AbortSignal): Promise<number> {
  let total = 0
  let after: string | null = null
  for (;;) {
    const charges: readonly PresignedCharge[] = await deps.records.listPresignedCharges(now, after, BATCH, signal)
    total += await countDone(charges, charge => release(deps, charge, now), signal)
    const last = charges.at(-1)
    if (!last || charges.length < BATCH) return total
    after = last.uploadId
  }
}

async function release(
  { blobs, records, failed }: ReleasePresigned,
  held: PresignedCharge,
  now: number,
): Promise<boolean> {
  const { uploadId, blob, deleted } = held
  try {
    if (deleted) await blobs.delete(blob.blobId)
    else if (await hasUnusedParts({ blobs, records }, held)) return false
    await records.releasePresignedCharge(uploadId, now)
    return true
  } catch (error) {
    failed(error, blob.blobId)
    return false
  }
}

/** Deletes parts past the end of a complete blob. @returns whether some are still there */
async function hasUnusedParts(
  { blobs, records }: Omit<ReleasePresigned, 'failed'>,
  { blob }: PresignedCharge,
): Promise<boolean> {
  if (!canCheck(blobs)) return false
  const checked = await checkBlob({ blobs, records }, blob)
  if (unusedBytesOf(blobs, checked) === 0) return false
  await deleteUnusedParts(blobs, checked)
  return unusedBytesOf(blobs, await checkBlob({ blobs, records }, blob)) > 0
}

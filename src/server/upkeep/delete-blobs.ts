import type { BlobId, BlobStore } from '../blobs/blob-store.ts'
import type { Clock } from '../clock.ts'
import type { RecordStore, UpkeepRecords } from '../records/record-store.ts'
import type { PresignedCharge } from '../records/record-types.ts'
import { BATCH } from './expire.ts'
import { canCheck, checkBlob, deleteSurplus, surplusOf } from './check-blobs.ts'

export interface DeleteBlobs {
  readonly blobs: BlobStore
  readonly records: UpkeepRecords
  readonly clock: Clock
  readonly failed: (error: unknown, blobId: BlobId) => void
}

/** Deletions at once: each is a few questions to a store that may be far away. */
export const DELETIONS_AT_ONCE = 8

/** Deletes the bytes of every tombstone, then forgets it. A crash in between repeats the deletion, which is no error. */
export async function deleteBlobs(deps: DeleteBlobs, signal: AbortSignal): Promise<number> {
  let total = 0
  for (;;) {
    const tombstones = await deps.records.listTombstones(BATCH)
    const deleted = await countInLanes(tombstones, ({ blobId }) => deleteBlob(deps, blobId), signal)
    total += deleted
    // With no progress, the rest waits for the next sweep, and comes before what failed.
    if (deleted === 0 || tombstones.length < BATCH) return total
  }
}

/**
 * Does some of it at once. Resolves, also when it is to stop, only when nothing of it goes on any more.
 * @returns how often `work` said that it was done
 */
export async function countInLanes<T>(
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

/** Some may never be deleted (a store may hold them for the law): however many they are, the others go. */
async function postpone({ records, clock }: DeleteBlobs, blobId: BlobId): Promise<void> {
  // Where the records are away as well, it comes first again.
  await records.postponeTombstone(blobId, clock()).catch(() => undefined)
}

export interface CloseAddresses {
  readonly blobs: BlobStore
  readonly records: RecordStore
  readonly failed: (error: unknown, blobId: string) => void
}

/**
 * Deletes what addresses have brought to uploads that were over, once they have expired, and charges it no longer.
 * Each is tried once; one that fails waits for the next sweep and keeps no other from its turn. Repeating it is no error.
 * @returns uploads that hold nothing any more
 */
export async function closeAddresses(deps: CloseAddresses, now: number, signal: AbortSignal): Promise<number> {
  let total = 0
  let after: string | null = null
  for (;;) {
    const held: readonly PresignedCharge[] = await deps.records.listPresignedCharges(now, after, BATCH)
    total += await countInLanes(held, upload => close(deps, upload, now), signal)
    const last = held.at(-1)
    if (!last || held.length < BATCH) return total
    after = last.uploadId
  }
}

async function close({ blobs, records, failed }: CloseAddresses, held: PresignedCharge, now: number): Promise<boolean> {
  const { uploadId, blob, deleted } = held
  try {
    if (deleted) await blobs.delete(blob.blobId)
    else if (await hasSurplus({ blobs, records }, held)) return false
    await records.releasePresignedCharge(uploadId, now)
    return true
  } catch (error) {
    failed(error, blob.blobId)
    return false
  }
}

/** Deletes what lies past the end of a complete blob. @returns whether something was there: then it is looked at again */
async function hasSurplus(
  { blobs, records }: Omit<CloseAddresses, 'failed'>,
  { blob }: PresignedCharge,
): Promise<boolean> {
  if (!canCheck(blobs)) return false
  const checked = await checkBlob({ blobs, records }, blob)
  if (surplusOf(blobs, checked) === 0) return false
  await deleteSurplus(blobs, checked)
  return surplusOf(blobs, await checkBlob({ blobs, records }, blob)) > 0
}

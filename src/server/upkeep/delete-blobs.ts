import type { BlobId, BlobStore } from '../blobs/blob-store.ts'
import type { Clock } from '../clock.ts'
import type { UpkeepRecords } from '../records/record-store.ts'
import { BATCH } from './expire.ts'

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

import type { BlobId, BlobStore } from '../blobs/blob-store.ts'
import type { UpkeepRecords } from '../records/record-store.ts'
import { BATCH } from './expire.ts'

export interface DeleteBlobs {
  readonly blobs: BlobStore
  readonly records: UpkeepRecords
  readonly failed: (error: unknown, blobId: BlobId) => void
}

/** Deletes the bytes of every tombstone, then forgets it. A crash in between repeats the deletion, which is no error. */
export async function deleteBlobs(deps: DeleteBlobs, signal: AbortSignal): Promise<number> {
  let total = 0
  for (;;) {
    const tombstones = await deps.records.listTombstones(BATCH)
    let deleted = 0
    for (const { blobId } of tombstones) {
      signal.throwIfAborted()
      if (await deleteBlob(deps, blobId)) deleted += 1
    }
    total += deleted
    // What failed comes first again: with no progress, the rest waits for the next sweep.
    if (deleted === 0 || tombstones.length < BATCH) return total
  }
}

async function deleteBlob({ blobs, records, failed }: DeleteBlobs, blobId: BlobId): Promise<boolean> {
  try {
    await blobs.delete(blobId)
    await records.purgeBlob(blobId)
    return true
  } catch (error) {
    failed(error, blobId)
    return false
  }
}

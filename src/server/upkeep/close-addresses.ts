import type { BlobStore } from '../blobs/blob-store.ts'
import type { HeldUpload, RecordStore } from '../records/record-store.ts'
import { canCheck, checkBlob } from './check-blobs.ts'
import { countInLanes } from './delete-blobs.ts'
import { BATCH } from './expire.ts'
import { deleteSurplus, surplusOf } from './surplus.ts'

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
    const held: readonly HeldUpload[] = await deps.records.listHeld(now, after, BATCH)
    total += await countInLanes(held, upload => close(deps, upload, now), signal)
    const last = held.at(-1)
    if (!last || held.length < BATCH) return total
    after = last.uploadId
  }
}

async function close({ blobs, records, failed }: CloseAddresses, held: HeldUpload, now: number): Promise<boolean> {
  const { uploadId, blob, deleted } = held
  try {
    if (deleted) await blobs.delete(blob.blobId)
    else if (await hasSurplus({ blobs, records }, held)) return false
    await records.releaseHeld(uploadId, now)
    return true
  } catch (error) {
    failed(error, blob.blobId)
    return false
  }
}

/** Deletes what lies past the end of a complete blob. @returns whether something was there: then it is looked at again */
async function hasSurplus({ blobs, records }: Omit<CloseAddresses, 'failed'>, { blob }: HeldUpload): Promise<boolean> {
  if (!canCheck(blobs)) return false
  const checked = await checkBlob({ blobs, records }, blob)
  if (surplusOf(blobs, checked) === 0) return false
  await deleteSurplus(blobs, checked)
  return surplusOf(blobs, await checkBlob({ blobs, records }, blob)) > 0
}

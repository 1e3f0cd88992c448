import { isSealiftError } from '../../../protocol/errors.ts'
import type { BlobStore } from '../../blobs/blob-store.ts'
import type { UploadRecords } from '../../records/record-store.ts'
import type { UploadRecord, MediaRecord } from '../../records/record-types.ts'
import { givenUp, completedWithout, type ExclusiveParts } from './exclusive-part.ts'
import type { Caller } from '../../access/caller.ts'
import type { Clock } from '../../clock.ts'
import { blobTopic, uploadTopic, type ChangeFeed } from '../../change-feed/change-feed.ts'
import { findLiveUpload, findOwnUpload } from './find-upload.ts'

/**
 * Completes the blob of an upload. It also resolves when another node has completed it meanwhile; if the media item has
 * ended since, its bytes are deleted and not damaged.
 * @throws storage_full, damaged; gone when another node gave the upload up meanwhile, and its bytes with it
 */
export async function finalizeBlob(
  { blobs, records }: { readonly blobs: BlobStore; readonly records: UploadRecords },
  { uploadId, ...blob }: UploadRecord,
  sizeBytes: number,
): Promise<void> {
  try {
    await blobs.complete(blob, sizeBytes)
  } catch (error) {
    if (!isSealiftError(error, 'damaged')) throw error
    const upload = await records.findUpload(uploadId)
    if (upload === null || upload.state === 'aborted') throw givenUp()
    if (upload.state !== 'complete') throw error
  }
}

export interface CompleteUpload {
  readonly records: UploadRecords
  readonly blobs: BlobStore
  readonly feed: ChangeFeed
  readonly inFlight: ExclusiveParts
  readonly clock: Clock
}

/**
 * Ends an upload: fixes the size, finalizes the blob, then makes the media item complete. Repeating it returns the
 * same result and finishes what a crash left incomplete.
 * @throws not_found, gone, parts_missing, size_mismatch, storage_full, damaged
 */
export async function endUpload(
  { records, blobs, feed, inFlight, clock }: CompleteUpload,
  caller: Caller,
  { uploadId, sizeBytes }: { uploadId: string; sizeBytes: number },
): Promise<MediaRecord> {
  await findLiveUpload(records, uploadId, caller)
  const upload = await records.finalizeUpload(uploadId, sizeBytes)
  if (upload.state !== 'complete') {
    // A part past the end may still be arriving; the store must not receive it once the blob is complete.
    feed.announce(uploadTopic(uploadId))
    await inFlight.stopAll(uploadId, completedWithout())
    await finalizeBlob({ blobs, records }, upload, sizeBytes)
  }
  const media = await records.finishUpload(uploadId, clock())
  feed.announce(blobTopic(media.blobId))
  return media
}

export interface AbortUpload {
  readonly records: UploadRecords
  readonly feed: ChangeFeed
  readonly inFlight: ExclusiveParts
  readonly clock: Clock
}

/** Gives an upload up: nothing of it is reachable or charged afterwards. @throws not_found, upload_complete */
export async function cancelUpload(deps: AbortUpload, caller: Caller, uploadId: string): Promise<void> {
  const upload = await findOwnUpload(deps.records, uploadId, caller)
  await giveUp(deps, upload)
}

/** The same without a check of the owner: for a one-request upload that failed. */
export async function giveUp(
  { records, feed, inFlight, clock }: AbortUpload,
  { uploadId, blobId }: { uploadId: string; blobId: string },
): Promise<void> {
  await records.abortUpload(uploadId, clock())
  feed.announce(blobTopic(blobId))
  feed.announce(uploadTopic(uploadId))
  await inFlight.stopAll(uploadId, givenUp())
}

import type { BlobStore } from '../../blobs/blob-store.ts'
import type { Caller } from '../../access/caller.ts'
import type { Clock } from '../../clock.ts'
import { blobTopic, uploadTopic, type ChangeFeed } from '../../change-feed/change-feed.ts'
import type { MediaRecord, UploadRecords } from '../../records/record-store.ts'
import { completedWithout, type PartsInFlight } from './parts-in-flight.ts'
import { sealBytes } from './finalize-upload.ts'
import { findLiveUpload } from './upload-rights.ts'

export interface CompleteUpload {
  readonly records: UploadRecords
  readonly blobs: BlobStore
  readonly feed: ChangeFeed
  readonly inFlight: PartsInFlight
  readonly clock: Clock
}

/**
 * Ends an upload: fixes the size, seals the stored bytes, then makes the media complete. Repeating it gives the same
 * answer and finishes what a crash left half done.
 * @throws not_found, gone, parts_missing, size_mismatch, storage_full, damaged
 */
export async function completeUpload(
  { records, blobs, feed, inFlight, clock }: CompleteUpload,
  caller: Caller,
  { uploadId, sizeBytes }: { uploadId: string; sizeBytes: number },
): Promise<MediaRecord> {
  await findLiveUpload(records, uploadId, caller)
  const upload = await records.sealUpload(uploadId, sizeBytes)
  if (upload.state !== 'complete') {
    // A part past the end may still be arriving; the store must not see it once the blob is sealed.
    feed.announce(uploadTopic(uploadId))
    await inFlight.stopAll(uploadId, completedWithout())
    await sealBytes({ blobs, records }, upload, sizeBytes)
  }
  const media = await records.finishUpload(uploadId, clock())
  feed.announce(blobTopic(media.blobId))
  return media
}

import { isSealiftError } from '../../../protocol/errors.ts'
import type { BlobStore } from '../../blobs/blob-store.ts'
import type { UploadRecord, UploadRecords } from '../../records/record-store.ts'
import { givenUp } from './parts-in-flight.ts'

/**
 * Completes the bytes of an upload. Resolves as well when another node has completed it meanwhile: its media may have ended
 * since, and then the bytes are rightly gone.
 * @throws storage_full, damaged; gone when another node gave the upload up meanwhile, and its bytes with it
 */
export async function sealBytes(
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

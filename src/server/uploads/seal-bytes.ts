import { isSealiftError } from '../../protocol/errors.ts'
import type { BlobStore } from '../blobs/blob-store.ts'
import type { UploadRecord, UploadRecords } from '../records/record-store.ts'
import { givenUp } from './parts-in-flight.ts'

/**
 * Completes the bytes of an upload.
 * @throws storage_full, damaged; gone when another node ended the upload meanwhile, and its bytes with it
 */
export async function sealBytes(
  { blobs, records }: { readonly blobs: BlobStore; readonly records: UploadRecords },
  upload: UploadRecord,
  sizeBytes: number,
): Promise<void> {
  try {
    await blobs.complete(upload, sizeBytes)
  } catch (error) {
    const isOver = isSealiftError(error, 'damaged') && (await hasEnded(records, upload))
    throw isOver ? givenUp() : error
  }
}

async function hasEnded(records: UploadRecords, { uploadId }: UploadRecord): Promise<boolean> {
  const upload = await records.findUpload(uploadId)
  return upload === null || upload.state === 'aborted'
}

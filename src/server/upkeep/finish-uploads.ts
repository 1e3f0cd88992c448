import { isSealiftError } from '../../protocol/errors.ts'
import type { BlobStore } from '../blobs/blob-store.ts'
import type { Clock } from '../clock.ts'
import type { RecordStore, UpkeepRecords, UploadRecords } from '../records/record-store.ts'
import type { UploadRecord } from '../records/record-types.ts'
import { finalizeBlob } from '../transfers/upload/end-upload.ts'
import { BATCH } from './expire.ts'
import type { UpkeepEvents } from './upkeep-events.ts'

export interface FinishUploads {
  readonly blobs: BlobStore
  readonly records: UploadRecords & UpkeepRecords
  readonly clock: Clock
  readonly failed: (error: unknown, blobId: string) => void
}

/**
 * Finishes uploads whose size is fixed and whose last steps were interrupted, by repeating these steps. A failed one
 * waits for the next sweep. @returns how many were finished
 */
export async function finishUploads(deps: FinishUploads, signal: AbortSignal): Promise<number> {
  let total = 0
  for (;;) {
    const uploads = await deps.records.listCompleting(BATCH, signal)
    let finished = 0
    for (const upload of uploads) {
      signal.throwIfAborted()
      if (await finish(deps, upload)) finished += 1
    }
    total += finished
    if (finished === 0 || uploads.length < BATCH) return total
  }
}

async function finish({ blobs, records, clock, failed }: FinishUploads, upload: UploadRecord): Promise<boolean> {
  try {
    await finalizeBlob({ blobs, records }, upload, upload.sizeBytes ?? 0)
    await records.finishUpload(upload.uploadId, clock())
    return true
  } catch (error) {
    // Its lease ended meanwhile: its tombstone deletes the bytes.
    if (!isSealiftError(error, 'gone')) failed(error, upload.blobId)
    return false
  }
}

export interface Recover {
  readonly blobs: BlobStore
  readonly records: RecordStore
  readonly clock: Clock
  readonly events: Pick<UpkeepEvents, 'failed'>
}

/**
 * Before the server is ready: brings the schema up to date, proves that both stores can write, and finishes uploads
 * whose size is fixed. The sweeper repairs everything else that a crash leaves.
 * @returns uploads finished
 * @throws unavailable, storage_full when a store cannot work; `unavailable` when the schema is newer than this program
 */
export async function recover({ blobs, records, clock, events }: Recover, signal: AbortSignal): Promise<number> {
  await records.migrate()
  await Promise.all([records.probe(), blobs.probe()])
  const failed = (error: unknown, blobId: string) => events.failed('finish_uploads', error, blobId)
  return finishUploads({ blobs, records, clock, failed }, signal)
}

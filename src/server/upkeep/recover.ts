import type { BlobStore } from '../blobs/blob-store.ts'
import type { Clock } from '../clock.ts'
import type { RecordStore } from '../records/record-store.ts'
import { finishUploads } from './finish-uploads.ts'
import type { UpkeepEvents } from './upkeep-events.ts'

export interface Recover {
  readonly blobs: BlobStore
  readonly records: RecordStore
  readonly clock: Clock
  readonly events: Pick<UpkeepEvents, 'failed'>
}

/**
 * What must be done before the server is ready: both stores can write, the schema is up to date, and uploads whose
 * size was fixed when the server ended are complete. The rest of what a crash leaves can wait for the sweeper.
 * @returns uploads finished
 * @throws unavailable, storage_full when a store cannot work; `unavailable` when the schema is newer than this program
 */
export async function recover({ blobs, records, clock, events }: Recover, signal: AbortSignal): Promise<number> {
  await records.migrate()
  await Promise.all([records.probe(), blobs.probe()])
  const failed = (error: unknown, blobId: string) => events.failed('finish_uploads', error, blobId)
  return finishUploads({ blobs, records, clock, failed }, signal)
}

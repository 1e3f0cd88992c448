import type { BlobId } from '../blobs/blob-store.ts'

/** The pieces of work of a sweep, by their name in events and reports. */
export type UpkeepTask =
  /** Acquiring the lock for sweeping. */
  | 'take_lease'
  | 'expire_parcels'
  | 'expire_leases'
  | 'expire_uploads'
  | 'finish_uploads'
  | 'delete_blobs'
  | 'close_addresses'
  | 'delete_orphans'
  | 'check_blobs'
  | 'purge_ended'

/** How much each task of one sweep did, without tasks that did not run. */
export type SweepReport = Readonly<Partial<Record<UpkeepTask, number>>>

/** Events of the sweep, for logs and metrics. They name blob ids, which no client knows, and no other ids. */
export interface UpkeepEvents {
  swept(report: SweepReport, durationMs: number): void
  /** An item or an entire task failed; the others continued. The next sweep retries it. */
  failed(task: UpkeepTask, error: unknown, blobId: BlobId | null): void
  /** Bytes of a record are missing. The record is not ended automatically: an operator must decide. */
  bytesMissing(blob: {
    readonly blobId: BlobId
    readonly expectedBytes: number
    readonly storedBytes: number | null
  }): void
  orphanDeleted(blob: { readonly blobId: BlobId; readonly sizeBytes: number }): void
  /** So many blobs have no record that the wrong records are a likelier cause: none was deleted. */
  orphansSuspicious(counts: { readonly orphans: number; readonly blobs: number }): void
}

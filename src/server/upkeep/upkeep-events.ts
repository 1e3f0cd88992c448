import type { BlobId } from '../blobs/blob-store.ts'

/** The pieces of work of a sweep, by their name in events and reports. */
export type UpkeepTask =
  /** Finding out whether this node is the one that sweeps. */
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

/** How much each task of one sweep did; a task that had no turn is not in it. */
export type SweepReport = Readonly<Partial<Record<UpkeepTask, number>>>

/** What the sweep tells, for logs and metrics. Nobody's ids are in it but those of blobs, which no client knows. */
export interface UpkeepEvents {
  swept(report: SweepReport, durationMs: number): void
  /** One item or a whole task failed; the others went on. It is tried again by the next sweep. */
  failed(task: UpkeepTask, error: unknown, blobId: BlobId | null): void
  /** Bytes that a record promises are not there, or not all of them. Never deleted by itself: a person must look. */
  bytesMissing(blob: {
    readonly blobId: BlobId
    readonly expectedBytes: number
    readonly storedBytes: number | null
  }): void
  orphanDeleted(blob: { readonly blobId: BlobId; readonly sizeBytes: number }): void
  /** So many blobs have no record that the records are more likely lost than the blobs: none was deleted. */
  orphansSuspicious(counts: { readonly orphans: number; readonly blobs: number }): void
}

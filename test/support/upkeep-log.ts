import type { SweepReport, UpkeepEvents, UpkeepTask } from '../../src/server/upkeep/upkeep-events.ts'

/** Keeps everything that upkeep tells. */
export class UpkeepLog implements UpkeepEvents {
  readonly reports: SweepReport[] = []
  readonly failures: { readonly task: UpkeepTask; readonly error: unknown; readonly blobId: string | null }[] = []
  readonly missing: { readonly blobId: string; readonly expectedBytes: number; readonly storedBytes: number | null }[] =
    []
  readonly orphans: string[] = []
  readonly suspicions: { readonly orphans: number; readonly blobs: number }[] = []

  swept(report: SweepReport): void {
    this.reports.push(report)
  }

  failed(task: UpkeepTask, error: unknown, blobId: string | null): void {
    this.failures.push({ task, error, blobId })
  }

  bytesMissing(blob: { blobId: string; expectedBytes: number; storedBytes: number | null }): void {
    this.missing.push(blob)
  }

  orphanDeleted({ blobId }: { blobId: string }): void {
    this.orphans.push(blobId)
  }

  orphansSuspicious(counts: { orphans: number; blobs: number }): void {
    this.suspicions.push(counts)
  }
}

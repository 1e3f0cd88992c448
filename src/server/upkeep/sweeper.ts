import type { BlobStore, ChecksBlobs } from '../blobs/blob-store.ts'
import type { Clock } from '../clock.ts'
import type { RecordStore } from '../records/record-store.ts'
import {
  type CheckedBlob,
  canCheck,
  checkBlobs,
  deleteUnusedParts,
  findOrphans,
  lacksBytes,
  lookSuspicious,
  unusedBytesOf,
} from './check-blobs.ts'
import { releasePresigned, deleteBlobs } from './delete-blobs.ts'
import { expireLeases, expireParcels, expireUploads, purgeEndedRecords } from './expire.ts'
import { finishUploads } from './finish-uploads.ts'
import { checked, type SweepLock } from './sweep-lock.ts'
import type { SweepReport, UpkeepEvents, UpkeepTask } from './upkeep-events.ts'

export interface UpkeepSettings {
  /** Time between two sweeps. */
  readonly sweepEveryMs: number
  /** Stored bytes without a record are deleted when they are older than this. */
  readonly orphanGraceMs: number
  /** How long an ended media item or parcel reports `gone` before its records are purged. */
  readonly keepEndedMs: number
}

export interface SweeperOptions {
  readonly blobs: BlobStore
  readonly records: RecordStore
  readonly clock: Clock
  /** Read again for each sweep. */
  readonly settings: () => UpkeepSettings
  readonly events: UpkeepEvents
  /** Where several processes share these stores, only its holder sweeps. Disposed with the sweeper. */
  readonly lock?: SweepLock
}

export interface Sweeper extends AsyncDisposable {
  /** Sweeps now and then every `sweepEveryMs`, until disposed. */
  start(): void
  /**
   * One sweep, now; joins a running one. Never rejects: failures go to the events. The report is empty when another
   * node sweeps.
   */
  sweep(): Promise<SweepReport>
}

type Task = (signal: AbortSignal) => Promise<number>

/**
 * Ends what has expired and finishes what a crash interrupted, in small steps; it can stop between any two of them.
 * The walk through the entire store runs once per orphan grace time, everything else in every sweep.
 */
export function createSweeper(options: SweeperOptions): Sweeper {
  return new PeriodicSweeper(options)
}

class PeriodicSweeper implements Sweeper {
  readonly #options: SweeperOptions
  readonly #stop = new AbortController()
  #running: Promise<SweepReport> | null = null
  #timer: NodeJS.Timeout | null = null
  /** By the monotonic clock; `null` before the first walk. */
  #walkedAtMs: number | null = null

  constructor(options: SweeperOptions) {
    const { blobs, records, lock } = options
    const check = () => lock?.check() ?? Promise.resolve()
    this.#options = lock
      ? {
          ...options,
          blobs: checked(blobs, check, ['complete', 'delete']),
          records: checked(records, check),
        }
      : options
  }

  start(): void {
    if (this.#stop.signal.aborted) return
    void this.sweep().then(() => this.#schedule())
  }

  sweep(): Promise<SweepReport> {
    this.#running ??= this.#sweep().finally(() => {
      this.#running = null
    })
    return this.#running
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new Error('The sweeper was stopped'))
    if (this.#timer) clearTimeout(this.#timer)
    await this.#running
    await this.#options.lock?.[Symbol.asyncDispose]()
  }

  #schedule(): void {
    if (this.#stop.signal.aborted) return
    this.#timer = setTimeout(() => this.start(), this.#options.settings().sweepEveryMs)
    this.#timer.unref()
  }

  async #sweep(): Promise<SweepReport> {
    const startedAtMs = performance.now()
    const report: Partial<Record<UpkeepTask, number>> = {}
    const signal = await this.#acquire()
    if (signal === null) return report
    for (const [name, task] of this.#tasks(signal)) {
      const done = await this.#run(name, task, signal)
      if (done !== null) report[name] = done
    }
    if (!signal.aborted) this.#options.events.swept(report, performance.now() - startedAtMs)
    return report
  }

  /** @returns a signal that ends this sweep early; `null` when another node sweeps, or the lock cannot be checked */
  async #acquire(): Promise<AbortSignal | null> {
    const { lock, events } = this.#options
    if (!lock || this.#stop.signal.aborted) return this.#stop.signal
    try {
      const lost = await lock.acquire()
      return lost === null ? null : AbortSignal.any([this.#stop.signal, lost])
    } catch (error) {
      events.failed('take_lease', error, null)
      return null
    }
  }

  /** Expiry comes before deletion: one sweep ends an expired media item and frees its disk space. */
  #tasks(ending: AbortSignal): readonly (readonly [UpkeepTask, Task])[] {
    const { records, blobs, clock } = this.#options
    const { keepEndedMs } = this.#options.settings()
    const now = clock()
    const failed = (task: UpkeepTask) => (error: unknown, blobId: string) => {
      if (!ending.aborted) this.#options.events.failed(task, error, blobId)
    }
    return [
      ['expire_parcels', signal => expireParcels(records, now, signal)],
      ['expire_leases', signal => expireLeases(records, now, signal)],
      ['expire_uploads', signal => expireUploads(records, now, signal)],
      ['finish_uploads', signal => finishUploads({ blobs, records, clock, failed: failed('finish_uploads') }, signal)],
      ['delete_blobs', signal => deleteBlobs({ blobs, records, clock, failed: failed('delete_blobs') }, signal)],
      [
        'close_addresses',
        signal => releasePresigned({ blobs, records, failed: failed('close_addresses') }, now, signal),
      ],
      ['purge_ended', signal => purgeEndedRecords(records, { before: now - keepEndedMs, now }, signal)],
      ...this.#walks(now),
    ]
  }

  #walks(now: number): readonly (readonly [UpkeepTask, Task])[] {
    const { orphanGraceMs } = this.#options.settings()
    const nowMs = performance.now()
    if (this.#walkedAtMs !== null && nowMs - this.#walkedAtMs < orphanGraceMs) return []
    this.#walkedAtMs = nowMs
    return [
      ['delete_orphans', signal => this.#deleteOrphans(now - orphanGraceMs, signal)],
      ['check_blobs', signal => this.#checkBlobs(signal)],
    ]
  }

  /** A failed task does not stop the others. @returns `null` when it failed or was stopped */
  async #run(name: UpkeepTask, task: Task, signal: AbortSignal): Promise<number | null> {
    if (signal.aborted) return null
    try {
      return await task(signal)
    } catch (error) {
      if (!signal.aborted) this.#options.events.failed(name, error, null)
      return null
    }
  }

  async #deleteOrphans(modifiedBefore: number, signal: AbortSignal): Promise<number> {
    const { blobs, records, events } = this.#options
    const found = await findOrphans(this.#options, modifiedBefore, signal)
    if (lookSuspicious(found)) {
      events.orphansSuspicious({ orphans: found.orphans.length, blobs: found.blobs })
      return 0
    }
    let deleted = 0
    for (const orphan of found.orphans) {
      signal.throwIfAborted()
      try {
        // Checked again: the walk may have taken hours.
        if ((await records.knownBlobs([orphan.blobId], signal)).size > 0) continue
        await blobs.delete(orphan.blobId)
        deleted += 1
        events.orphanDeleted(orphan)
      } catch (error) {
        if (!signal.aborted) events.failed('delete_orphans', error, orphan.blobId)
      }
    }
    return deleted
  }

  /** @returns blobs that lack bytes */
  async #checkBlobs(signal: AbortSignal): Promise<number> {
    const { blobs, records, events } = this.#options
    if (!canCheck(blobs)) return 0
    let lacking = 0
    for await (const checked of checkBlobs({ blobs, records }, signal)) {
      if (!lacksBytes(checked)) {
        await this.#deleteUnusedParts(blobs, checked, signal)
        continue
      }
      lacking += 1
      const { blob, expectedBytes, stored } = checked
      events.bytesMissing({ blobId: blob.blobId, expectedBytes, storedBytes: stored?.sizeBytes ?? null })
    }
    return lacking
  }

  async #deleteUnusedParts(blobs: BlobStore & ChecksBlobs, checked: CheckedBlob, signal: AbortSignal): Promise<void> {
    const { events } = this.#options
    const { blobId } = checked.blob
    const sizeBytes = unusedBytesOf(blobs, checked)
    if (sizeBytes === 0) return
    try {
      await deleteUnusedParts(blobs, checked)
      events.orphanDeleted({ blobId, sizeBytes })
    } catch (error) {
      if (!signal.aborted) events.failed('check_blobs', error, blobId)
    }
  }
}

import { SealiftError } from '../../../protocol/errors.ts'
import type { DiskSpace, MeasuresSpace } from '../../blobs/blob-store.ts'

/** How long a measurement of the disks is used. */
const MEASURE_EVERY_MS = 2000

export interface DiskSpaceCheckOptions {
  /** A store without `freeSpace` refuses what it has no space for itself. */
  readonly blobs: Partial<MeasuresSpace>
  readonly records: Partial<MeasuresSpace>
  /** New bytes are refused when one of the disks is fuller than this; 100: never. */
  readonly refuseAbovePercent: () => number
}

/** @param declaredBytes the size of a new upload, if it is known @throws storage_full */
export type DiskSpaceCheck = (declaredBytes?: number) => Promise<void>

/**
 * Refuses new bytes before a disk is full, so that begun uploads can still be finished and everything can be read; and
 * an upload at its begin whose declared size exceeds the free space of the blobs.
 */
export function createDiskSpaceCheck({ blobs, records, refuseAbovePercent }: DiskSpaceCheckOptions): DiskSpaceCheck {
  let measuredAtMs = -Infinity
  let usedPercent = 0
  let freeBytes = Infinity
  return async (declaredBytes = 0) => {
    const value = refuseAbovePercent()
    if (value >= 100 && declaredBytes === 0) return
    if (performance.now() - measuredAtMs > MEASURE_EVERY_MS) {
      measuredAtMs = performance.now()
      const spaces = await Promise.all([blobs.freeSpace?.(), records.freeSpace?.()])
      usedPercent = Math.max(...spaces.map(usedPercentOf))
      freeBytes = spaces[0]?.freeBytes ?? Infinity
    }
    if (value < 100 && usedPercent > value) {
      throw full('The server has no free space for new uploads; stored media can still be read', value)
    }
    if (declaredBytes > freeBytes) {
      const sizes = `this upload has ${declaredBytes} bytes, and ${freeBytes} bytes are free`
      throw full(`The disk of the server is too full: ${sizes}`, value)
    }
  }
}

function full(message: string, value: number): SealiftError {
  return new SealiftError('storage_full', message, {
    context: { limit: 'disk', value, remaining: 0, retryAfterSeconds: 60 },
  })
}

function usedPercentOf(space: DiskSpace | undefined): number {
  return !space || space.totalBytes === 0 ? 0 : 100 * (1 - space.freeBytes / space.totalBytes)
}

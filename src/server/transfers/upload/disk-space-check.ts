import { SealiftError } from '../../../protocol/errors.ts'
import type { MeasuresSpace } from '../../blobs/blob-store.ts'

/** The disk is looked at again after this long: often enough for a mark that leaves room above it. */
const LOOK_EVERY_MS = 2000

export interface DiskSpaceCheckOptions {
  /** Of bytes and of records. One that cannot tell its space refuses what it has no room for itself. */
  readonly stores: readonly Partial<MeasuresSpace>[]
  /** What is new is refused when one of their disks is fuller than this; 100: never. */
  readonly refuseAbovePercent: () => number
}

/**
 * Refuses what is new before the disk is full, so that what was begun can still be finished and all else read.
 * Returned function: @throws storage_full
 */
export function createDiskSpaceCheck({ stores, refuseAbovePercent }: DiskSpaceCheckOptions): () => Promise<void> {
  let lookedAtMs = -Infinity
  let usedPercent = 0
  return async () => {
    const value = refuseAbovePercent()
    if (value >= 100) return
    if (performance.now() - lookedAtMs > LOOK_EVERY_MS) {
      lookedAtMs = performance.now()
      usedPercent = Math.max(...(await Promise.all(stores.map(usedPercentOf))))
    }
    if (usedPercent <= value) return
    throw new SealiftError('storage_full', 'The server has no room for anything new; what is there can still be read', {
      context: { limit: 'disk', value, remaining: 0, retryAfterSeconds: 60 },
    })
  }
}

async function usedPercentOf(store: Partial<MeasuresSpace>): Promise<number> {
  if (!store.freeSpace) return 0
  const { freeBytes, totalBytes } = await store.freeSpace()
  return totalBytes === 0 ? 0 : 100 * (1 - freeBytes / totalBytes)
}

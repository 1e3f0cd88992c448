import type { UpkeepRecords } from '../records/record-store.ts'

/** Most rows that one transaction touches. */
export const BATCH = 200
/** Few, since each ends every lease that it covers. */
const PARCELS_PER_BATCH = 10

/** Repeats a batch until one is not full. @returns rows touched in total */
async function untilDone(
  batch: (size: number) => Promise<number>,
  signal: AbortSignal,
  size: number = BATCH,
): Promise<number> {
  let total = 0
  for (;;) {
    signal.throwIfAborted()
    const touched = await batch(size)
    total += touched
    if (touched < size) return total
  }
}

export function expireParcels(records: UpkeepRecords, now: number, signal: AbortSignal): Promise<number> {
  return untilDone(size => records.endExpiredParcels(now, size, signal), signal, PARCELS_PER_BATCH)
}

export function expireLeases(records: UpkeepRecords, now: number, signal: AbortSignal): Promise<number> {
  return untilDone(size => records.endExpiredLeases(now, size, signal), signal)
}

export function expireUploads(records: UpkeepRecords, now: number, signal: AbortSignal): Promise<number> {
  return untilDone(size => records.abortExpiredUploads(now, size, signal), signal)
}

export function purgeEndedRecords(
  records: UpkeepRecords,
  { before, now }: { before: number; now: number },
  signal: AbortSignal,
): Promise<number> {
  return untilDone(size => records.purgeEnded(before, now, size, signal), signal)
}

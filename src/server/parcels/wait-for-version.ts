import type { Clock } from '../clock.ts'
import { parcelTopic, type ChangeFeed } from '../change-feed/change-feed.ts'
import type { ParcelFacts, ParcelRecords } from '../records/record-store.ts'
import { readParcel } from './read-parcel.ts'

/** The feed is a hint; a waiting reader looks again after this long even when nothing was announced. */
const LOOK_AGAIN_MS = 15_000

export interface WaitForVersion {
  readonly records: ParcelRecords
  readonly feed: ChangeFeed
  readonly clock: Clock
}

/**
 * The parcel as soon as its version is another than `known`; `null` when it still is the same after `waitMs`.
 * @throws not_found, gone (also when it ends meanwhile); the signal's reason
 */
export async function waitForVersion(
  { records, feed, clock }: WaitForVersion,
  { parcelId, known, waitMs }: { parcelId: string; known: number; waitMs: number },
  signal: AbortSignal,
): Promise<ParcelFacts | null> {
  using changes = feed.listen(parcelTopic(parcelId))
  const deadline = performance.now() + waitMs
  for (;;) {
    const parcel = await readParcel(records, parcelId, clock())
    if (parcel.version !== known) return parcel
    const leftMs = deadline - performance.now()
    if (leftMs <= 0) return null
    await changes.next(Math.min(leftMs, LOOK_AGAIN_MS), signal)
  }
}

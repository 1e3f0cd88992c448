import type { Clock } from '../clock.ts'
import { followTopic, parcelTopic, type ChangeFeed } from '../change-feed/change-feed.ts'
import type { ParcelFacts, ParcelRecords } from '../records/record-store.ts'
import { readParcel } from './read-parcel.ts'

export interface WaitForVersion {
  readonly records: ParcelRecords
  readonly feed: ChangeFeed
  readonly clock: Clock
}

/**
 * The parcel as soon as its version is another than `known`; `null` when it still is the same after `waitMs`.
 * @throws not_found, gone (also when it ends meanwhile); the signal's reason
 */
export function waitForVersion(
  { records, feed, clock }: WaitForVersion,
  { parcelId, known, waitMs }: { parcelId: string; known: number; waitMs: number },
  signal: AbortSignal,
): Promise<ParcelFacts | null> {
  const look = async () => {
    const parcel = await readParcel(records, parcelId, clock())
    return parcel.version === known ? null : parcel
  }
  return followTopic({ feed, topic: parcelTopic(parcelId), signal, waitMs }, look)
}

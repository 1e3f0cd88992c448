import { SealiftError } from '../../protocol/errors.ts'
import { isId } from '../../protocol/ids.ts'
import { claimOf, type Caller } from '../access/caller.ts'
import type { Clock } from '../clock.ts'
import { parcelTopic, type ChangeFeed } from '../change-feed/change-feed.ts'
import type { ParcelRecords } from '../records/record-store.ts'

export interface EndParcel {
  readonly records: ParcelRecords
  readonly feed: ChangeFeed
  readonly clock: Clock
}

/** Ends a parcel and the leases it covers. @throws not_found also when it is another's */
export async function endParcel({ records, feed, clock }: EndParcel, caller: Caller, parcelId: string): Promise<void> {
  if (!isId(parcelId)) throw new SealiftError('not_found', 'There is no such parcel of yours')
  await records.endParcel(parcelId, claimOf(caller), clock())
  feed.announce(parcelTopic(parcelId))
}

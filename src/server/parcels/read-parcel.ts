import { SealiftError } from '../../protocol/errors.ts'
import { isId } from '../../protocol/ids.ts'
import type { ParcelFacts, ParcelRecords } from '../records/record-store.ts'

/** The newest version of a parcel. Whoever knows the id may ask. @throws not_found, gone */
export async function readParcel(records: ParcelRecords, parcelId: string, now: number): Promise<ParcelFacts> {
  const parcel = isId(parcelId) ? await records.findParcelFacts(parcelId) : null
  if (!parcel) throw new SealiftError('not_found', 'There is no such parcel')
  if (parcel.endedAt !== null || parcel.expiresAt <= now) {
    throw new SealiftError('gone', 'This parcel has expired, or its sender ended it')
  }
  return parcel
}

import { SealiftError } from '../../protocol/errors.ts'
import { isId } from '../../protocol/ids.ts'
import { claimOf, type Caller } from '../access/caller.ts'
import { owns } from '../records/queries/ownership.ts'
import type { ParcelFacts, ParcelRecords } from '../records/record-store.ts'

/**
 * The parcel, if the caller may replace its manifest, by one look at the row: before a body is asked for, since anyone
 * can make up an owner secret. The transaction that replaces it looks again.
 * @throws not_found (absent and another's alike), gone, version_mismatch
 */
export async function assertMayReplace(
  records: ParcelRecords,
  caller: Caller,
  { parcelId, ifVersion, now }: { readonly parcelId: string; readonly ifVersion: number; readonly now: number },
): Promise<ParcelFacts> {
  const parcel = isId(parcelId) ? await records.findParcelFacts(parcelId) : null
  if (!parcel || !owns(claimOf(caller), { client_id: parcel.clientId, owner_hash: parcel.ownerHash })) {
    throw new SealiftError('not_found', 'There is no such parcel of yours')
  }
  if (parcel.endedAt !== null || parcel.expiresAt <= now) throw new SealiftError('gone', 'The parcel has ended')
  if (parcel.version === ifVersion) return parcel
  throw new SealiftError('version_mismatch', `The parcel has version ${parcel.version}: read it, then try again`, {
    context: { version: parcel.version },
  })
}

import { SealiftError, isSealiftError } from '../../protocol/errors.ts'
import { isId } from '../../protocol/ids.ts'
import { type Caller, type Charging, chargedTier, ownershipProof, storageCaps } from '../access/caller.ts'
import type { Clock } from '../clock.ts'
import { type ChangeFeed, parcelTopic } from '../change-feed/change-feed.ts'
import type { ParcelRecords } from '../records/record-store.ts'
import type { ParcelRecord } from '../records/record-types.ts'
import { assertManifestFits } from './publish-parcel.ts'
import { owns } from '../records/ownership.ts'

export interface ReplaceManifest extends Charging {
  readonly records: ParcelRecords
  readonly feed: ChangeFeed
  readonly clock: Clock
  /** @throws storage_full */
  readonly admitNewBytes: () => Promise<void>
}

export interface NextVersion {
  readonly manifest: Uint8Array
  readonly media: readonly string[]
  readonly parcelId: string
  /** The client that made the parcel, and pays for all of it. */
  readonly chargedTo: string
  /** The version this one is made from. */
  readonly ifVersion: number
}

/**
 * Publishes the next version of a parcel and wakes the requests that wait for it.
 * @throws not_found, gone, version_mismatch, too_large, quota_exceeded, storage_full,
 *   invalid_request (a covered media was dropped)
 */
export async function replaceManifest(
  { records, feed, clock, admitNewBytes, openTier }: ReplaceManifest,
  caller: Caller,
  { parcelId, chargedTo, ifVersion, manifest, media }: NextVersion,
): Promise<ParcelRecord> {
  if (!isId(parcelId)) throw new SealiftError('not_found', 'There is no such parcel of yours')
  assertManifestFits(manifest, caller.tier)
  const next = { ifVersion, manifest, media, caps: storageCaps(chargedTier({ openTier }, caller, chargedTo)) }
  await admitGrowth({ records, admitNewBytes }, parcelId, manifest.length)
  const parcel = await records.replaceManifest(parcelId, { ...next, now: clock() }, ownershipProof(caller))
  feed.announce(parcelTopic(parcelId))
  return parcel
}

/**
 * On a disk that is too full for anything new, what was begun can be finished: a manifest may be replaced by one as
 * small.
 */
export async function admitGrowth(
  { records, admitNewBytes }: Pick<ReplaceManifest, 'records' | 'admitNewBytes'>,
  parcelId: string,
  sizeBytes: number,
): Promise<void> {
  try {
    await admitNewBytes()
  } catch (error) {
    const parcel = isSealiftError(error, 'storage_full') ? await records.findParcel(parcelId) : null
    if (!parcel || sizeBytes > parcel.manifestBytes) throw error
  }
}

/**
 * The parcel, if the caller may replace its manifest, by one look at the row: before a body is asked for, since anyone
 * can make up an owner secret. The transaction that replaces it looks again.
 * @throws not_found (absent and another's alike), gone, version_mismatch
 */
export async function assertMayReplace(
  records: ParcelRecords,
  caller: Caller,
  { parcelId, ifVersion, now }: { readonly parcelId: string; readonly ifVersion: number; readonly now: number },
): Promise<ParcelRecord> {
  const parcel = isId(parcelId) ? await records.findParcel(parcelId) : null
  if (!parcel || !owns(ownershipProof(caller), { client_id: parcel.clientId, owner_hash: parcel.ownerHash })) {
    throw new SealiftError('not_found', 'There is no such parcel of yours')
  }
  if (parcel.endedAt !== null || parcel.expiresAt <= now) throw new SealiftError('gone', 'The parcel has ended')
  if (parcel.version === ifVersion) return parcel
  throw new SealiftError('version_mismatch', `The parcel has version ${parcel.version}: read it, then try again`, {
    context: { version: parcel.version },
  })
}

export interface EndParcel {
  readonly records: ParcelRecords
  readonly feed: ChangeFeed
  readonly clock: Clock
}

/** Ends a parcel and the leases it covers. @throws not_found also when it is another's */
export async function endParcel({ records, feed, clock }: EndParcel, caller: Caller, parcelId: string): Promise<void> {
  if (!isId(parcelId)) throw new SealiftError('not_found', 'There is no such parcel of yours')
  await records.endParcel(parcelId, ownershipProof(caller), clock())
  feed.announce(parcelTopic(parcelId))
}

import { isSealiftError, SealiftError } from '../../protocol/errors.ts'
import { isId } from '../../protocol/ids.ts'
import { chargedTier, claimOf, storageCaps, type Caller, type Charging } from '../access/caller.ts'
import type { Clock } from '../clock.ts'
import { parcelTopic, type ChangeFeed } from '../change-feed/change-feed.ts'
import type { ParcelFacts, ParcelRecords } from '../records/record-store.ts'
import { assertManifestFits } from './manifest-bytes.ts'

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
 * Publishes the next version of a parcel and wakes those who wait for it.
 * @throws not_found, gone, version_mismatch, too_large, quota_exceeded, storage_full,
 *   invalid_request (a covered media was dropped)
 */
export async function replaceManifest(
  { records, feed, clock, admitNewBytes, openTier }: ReplaceManifest,
  caller: Caller,
  { parcelId, chargedTo, ifVersion, manifest, media }: NextVersion,
): Promise<ParcelFacts> {
  if (!isId(parcelId)) throw new SealiftError('not_found', 'There is no such parcel of yours')
  assertManifestFits(manifest, caller.tier)
  const next = { ifVersion, manifest, media, caps: storageCaps(chargedTier({ openTier }, caller, chargedTo)) }
  await admitGrowth({ records, admitNewBytes }, parcelId, manifest.length)
  const parcel = await records.replaceManifest(parcelId, next, claimOf(caller), clock())
  feed.announce(parcelTopic(parcelId))
  return parcel
}

/** On a disk that is too full for anything new, what was begun can be finished: a manifest may be replaced by one as small. */
export async function admitGrowth(
  { records, admitNewBytes }: Pick<ReplaceManifest, 'records' | 'admitNewBytes'>,
  parcelId: string,
  sizeBytes: number,
): Promise<void> {
  try {
    await admitNewBytes()
  } catch (error) {
    const parcel = isSealiftError(error, 'storage_full') ? await records.findParcelFacts(parcelId) : null
    if (!parcel || sizeBytes > parcel.manifestBytes) throw error
  }
}

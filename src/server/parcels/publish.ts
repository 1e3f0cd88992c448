import { newId } from '../../protocol/ids.ts'
import type { PublishParcelRequest } from '../../protocol/schemas.ts'
import { claimOf, expiryOf, storageCaps, type Maker } from '../caller.ts'
import type { Clock } from '../clock.ts'
import type { ParcelFacts, ParcelRecords } from '../records/record-store.ts'
import { manifestBytes } from './manifest-bytes.ts'

export interface PublishParcel {
  readonly records: ParcelRecords
  readonly clock: Clock
  readonly random: (byteCount: number) => Uint8Array
  /** @throws storage_full */
  readonly admitNewBytes: () => Promise<void>
}

/**
 * Publishes version 1 of a parcel.
 * @throws not_found (a covered media is not the caller's), too_large, quota_exceeded, storage_full, idempotency_conflict
 */
export async function publishParcel(
  { records, clock, random, admitNewBytes }: PublishParcel,
  maker: Maker,
  request: PublishParcelRequest,
): Promise<ParcelFacts> {
  await admitNewBytes()
  const now = clock()
  const parcel = {
    parcelId: newId(random),
    clientId: maker.client.clientId,
    ownerHash: maker.ownerHash,
    manifest: manifestBytes(request.manifest, maker.tier),
    media: request.media,
    createdAt: now,
    expiresAt: expiryOf(maker.tier, request.ttlSeconds, now),
    caps: storageCaps(maker.tier),
    idempotency: maker.idempotency,
  }
  return records.publishParcel(parcel, claimOf(maker))
}

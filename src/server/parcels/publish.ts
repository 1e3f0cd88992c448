import { newId } from '../../protocol/ids.ts'
import { claimOf, expiryOf, storageCaps, type Maker } from '../access/caller.ts'
import type { Clock } from '../clock.ts'
import type { ParcelFacts, ParcelRecords } from '../records/record-store.ts'
import { assertManifestFits } from './manifest-bytes.ts'

export interface PublishParcel {
  readonly records: ParcelRecords
  readonly clock: Clock
  readonly random: (byteCount: number) => Uint8Array
  /** @throws storage_full */
  readonly admitNewBytes: () => Promise<void>
}

export interface NewManifest {
  readonly manifest: Uint8Array
  readonly media: readonly string[]
  readonly ttlSeconds: number | undefined
}

/**
 * Publishes version 1 of a parcel.
 * @throws not_found (a covered media is not the caller's), too_large, quota_exceeded, storage_full, idempotency_conflict
 */
export async function publishParcel(
  { records, clock, random, admitNewBytes }: PublishParcel,
  maker: Maker,
  { manifest, media, ttlSeconds }: NewManifest,
): Promise<ParcelFacts> {
  assertManifestFits(manifest, maker.tier)
  await admitNewBytes()
  const now = clock()
  const parcel = {
    parcelId: newId(random),
    clientId: maker.client.clientId,
    ownerHash: maker.ownerHash,
    manifest,
    media,
    createdAt: now,
    expiresAt: expiryOf(maker.tier, ttlSeconds, now),
    caps: storageCaps(maker.tier),
    idempotency: maker.idempotency,
  }
  return records.publishParcel(parcel, claimOf(maker))
}

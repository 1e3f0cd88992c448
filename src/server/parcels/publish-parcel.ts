import { newId } from '../../protocol/ids.ts'
import { type IdempotentCaller, type Tier, ownershipProof, expiryOf, storageCaps } from '../access/caller.ts'
import type { Clock } from '../clock.ts'
import type { ParcelRecords } from '../records/record-store.ts'
import type { ParcelRecord } from '../records/record-types.ts'
import { SealiftError } from '../../protocol/errors.ts'

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
 * @throws not_found (a covered media is not the caller's), too_large, quota_exceeded, storage_full,
 * idempotency_conflict
 */
export async function publishParcel(
  { records, clock, random, admitNewBytes }: PublishParcel,
  caller: IdempotentCaller,
  { manifest, media, ttlSeconds }: NewManifest,
): Promise<ParcelRecord> {
  assertManifestFits(manifest, caller.tier)
  await admitNewBytes()
  const now = clock()
  const parcel = {
    parcelId: newId(random),
    clientId: caller.client.clientId,
    ownerHash: caller.ownerHash,
    manifest,
    media,
    createdAt: now,
    expiresAt: expiryOf(caller.tier, ttlSeconds, now),
    caps: storageCaps(caller.tier),
    idempotency: caller.idempotency,
  }
  return records.publishParcel(parcel, ownershipProof(caller))
}

/** @throws too_large (limit `manifestBytes`) */
export function assertManifestFits(
  { length }: Uint8Array,
  { manifestBytes: value }: Pick<Tier, 'manifestBytes'>,
): void {
  if (length > value) throw manifestTooLarge(length, value)
}

export function manifestTooLarge(sizeBytes: number, value: number): SealiftError {
  return new SealiftError('too_large', `A sealed manifest may have ${value} bytes; this one has ${sizeBytes}`, {
    context: { limit: 'manifestBytes', value },
  })
}

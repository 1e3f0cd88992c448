import { SealiftError } from '../../../protocol/errors.ts'
import { isId, newId } from '../../../protocol/ids.ts'
import type { LeaseRequest } from '../../../protocol/schemas.ts'
import { expiryOf, storageCaps, type IdempotentCaller, ownershipProof, type Caller } from '../../access/caller.ts'
import type { Clock } from '../../clock.ts'
import type { MediaRecords } from '../../records/record-store.ts'
import type { MediaRecord } from '../../records/record-types.ts'
import type { DiskSpaceCheck } from '../upload/disk-space-check.ts'

export interface ForwardMedia {
  readonly records: MediaRecords
  readonly clock: Clock
  readonly random: (byteCount: number) => Uint8Array
  readonly admitNewBytes: DiskSpaceCheck
}

/**
 * Accepts a media item in any state: a repeated request returns the lease made the first time, also when the media item
 * has ended since. @throws not_found
 */
export async function assertKnown(records: Pick<MediaRecords, 'findMedia'>, mediaId: string): Promise<void> {
  if (!isId(mediaId) || !(await records.findMedia(mediaId))) throw noSuchMedia()
}

function noSuchMedia(): SealiftError {
  return new SealiftError('not_found', 'There is no such media')
}

/**
 * Adds a lease with its own id, owner and expiry to a blob; no bytes are copied. If downloads are counted, it has no
 * more downloads and no more time than are left.
 * @throws not_found, gone, downloads_exhausted, upload_in_progress, quota_exceeded, storage_full, idempotency_conflict,
 * invalid_request
 */
export async function addLease(
  { records, clock, random, admitNewBytes }: ForwardMedia,
  maker: IdempotentCaller,
  mediaId: string,
  request: LeaseRequest,
): Promise<MediaRecord> {
  if (!isId(mediaId)) throw noSuchMedia()
  await admitNewBytes()
  const now = clock()
  const lease = {
    mediaId: newId(random),
    clientId: maker.client.clientId,
    ownerHash: maker.ownerHash,
    createdAt: now,
    expiresAt: expiryOf(maker.tier, request.ttlSeconds, now),
    maxDownloads: request.maxDownloads ?? null,
  }
  return records.addLease({
    fromMediaId: mediaId,
    lease,
    caps: storageCaps(maker.tier),
    idempotency: maker.idempotency,
  })
}

/** Ends the caller's own lease; the blob is deleted with its last lease. @throws not_found also for a foreign lease */
export async function removeLease(
  { records, clock }: { readonly records: MediaRecords; readonly clock: Clock },
  caller: Caller,
  mediaId: string,
): Promise<void> {
  if (!isId(mediaId)) throw new SealiftError('not_found', 'There is no such media of yours')
  await records.endLease(mediaId, ownershipProof(caller), clock())
}

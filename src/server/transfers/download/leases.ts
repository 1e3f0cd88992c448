import { SealiftError } from '../../../protocol/errors.ts'
import { isId, newId } from '../../../protocol/ids.ts'
import type { LeaseRequest } from '../../../protocol/schemas.ts'
import { expiryOf, storageCaps, type IdempotentCaller, ownershipProof, type Caller } from '../../access/caller.ts'
import type { Clock } from '../../clock.ts'
import type { MediaRecord, MediaRecords } from '../../records/record-store.ts'

export interface ForwardMedia {
  readonly records: MediaRecords
  readonly clock: Clock
  readonly random: (byteCount: number) => Uint8Array
  /** @throws storage_full */
  readonly admitNewBytes: () => Promise<void>
}

/**
 * Whether there is such a media, in whatever state: a repeated request gets what it made the first time, also when the
 * media has ended since. @throws not_found
 */
export async function assertKnown(records: Pick<MediaRecords, 'findMedia'>, mediaId: string): Promise<void> {
  if (!isId(mediaId) || !(await records.findMedia(mediaId))) throw noSuchMedia()
}

function noSuchMedia(): SealiftError {
  return new SealiftError('not_found', 'There is no such media')
}

/**
 * Adds a lease with its own id, owner and expiry to the bytes of a media; nothing is copied. Of a counted media it has no
 * more downloads and no more time than are left.
 * @throws not_found, gone, downloads_exhausted, upload_in_progress, quota_exceeded, storage_full, idempotency_conflict,
 *   invalid_request
 */
export async function forwardMedia(
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
  return records.addLease(mediaId, lease, storageCaps(maker.tier), maker.idempotency)
}

/** Ends the caller's own lease; the bytes go with the last lease of them. @throws not_found also when it is another's */
export async function endLease(
  { records, clock }: { readonly records: MediaRecords; readonly clock: Clock },
  caller: Caller,
  mediaId: string,
): Promise<void> {
  if (!isId(mediaId)) throw new SealiftError('not_found', 'There is no such media of yours')
  await records.endLease(mediaId, ownershipProof(caller), clock())
}

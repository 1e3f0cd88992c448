import { SealiftError } from '../../protocol/errors.ts'
import { isId, newId } from '../../protocol/ids.ts'
import type { LeaseRequest } from '../../protocol/schemas.ts'
import { expiryOf, type Maker } from '../caller.ts'
import type { Clock } from '../clock.ts'
import type { MediaRecord, MediaRecords } from '../records/record-store.ts'

export interface ForwardMedia {
  readonly records: MediaRecords
  readonly clock: Clock
  readonly random: (byteCount: number) => Uint8Array
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
 * Adds a lease with its own id, owner and expiry to the bytes of a media; nothing is copied.
 * @throws not_found, gone, downloads_exhausted, upload_in_progress, quota_exceeded, idempotency_conflict
 */
export async function forwardMedia(
  { records, clock, random }: ForwardMedia,
  maker: Maker,
  mediaId: string,
  request: LeaseRequest,
): Promise<MediaRecord> {
  if (!isId(mediaId)) throw noSuchMedia()
  const now = clock()
  const lease = {
    mediaId: newId(random),
    clientId: maker.client.clientId,
    ownerHash: maker.ownerHash,
    createdAt: now,
    expiresAt: expiryOf(maker.tier, request.ttlSeconds, now),
    maxDownloads: request.maxDownloads ?? null,
  }
  return records.addLease(mediaId, lease, { storedBytes: maker.tier.storedBytes }, maker.idempotency)
}

import { SealiftError } from '../../../protocol/errors.ts'
import { isId, newId } from '../../../protocol/ids.ts'
import type { MediaRecords, CachesMedia } from '../../records/record-store.ts'
import type { MediaRecord } from '../../records/record-types.ts'
import type { Clock } from '../../clock.ts'

/**
 * The cached record, if its lease is alive. `null`: call `openMedia`. It saves a turn of the event loop where a few
 * bytes are all there is to send.
 */
export function cachedMedia(records: Partial<CachesMedia>, mediaId: string, now: number): MediaRecord | null {
  const media = records.cachedMedia?.(mediaId) ?? null
  return media && isAlive(media, now) ? media : null
}

/** The record, if its lease is alive. The media id is the credential. @throws not_found, gone */
export async function openMedia(records: MediaRecords, mediaId: string, now: number): Promise<MediaRecord> {
  const media = isId(mediaId) ? await records.findMedia(mediaId) : null
  if (!media) throw new SealiftError('not_found', 'There is no such media')
  assertAlive(media, now)
  return media
}

/** @throws gone */
export function assertAlive(media: MediaRecord, now: number): void {
  if (isAlive(media, now)) return
  throw new SealiftError('gone', 'This media has expired, or its sender deleted it or gave it up')
}

function isAlive({ endedAt, expiresAt }: MediaRecord, now: number): boolean {
  return endedAt === null && expiresAt > now
}

export interface CountDownload {
  readonly records: MediaRecords
  readonly clock: Clock
  readonly random: (byteCount: number) => Uint8Array
  readonly grantTtlMs: () => number
}

/** One counted download: the id to send back with further ranges of it. */
export interface CountedDownload {
  readonly grantId: string
  /** Returns a download that was counted just now, before any byte has moved. */
  giveBack(): Promise<void>
}

/**
 * [Note: one download] A download is the first GET of a media item without a known grant. It is taken off
 * `maxDownloads` in one transaction, before the first byte; further GETs with the grant are the same download. `null`:
 * the lease does not count downloads.
 * @throws downloads_exhausted, gone
 */
export async function countDownload(
  { records, clock, random, grantTtlMs }: CountDownload,
  media: MediaRecord,
  knownGrant: string | undefined,
): Promise<CountedDownload | null> {
  if (media.maxDownloads === null) return null
  const { mediaId } = media
  const now = clock()
  if (knownGrant !== undefined && isId(knownGrant) && (await records.hasGrant(mediaId, knownGrant, now))) {
    return { grantId: knownGrant, giveBack: () => Promise.resolve() }
  }
  const grantId = newId(random)
  await records.takeDownload(mediaId, { grantId, expiresAt: now + grantTtlMs() }, now)
  return { grantId, giveBack: () => records.returnDownload(mediaId, grantId) }
}

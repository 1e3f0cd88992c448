import { SealiftError } from '../../../protocol/errors.ts'
import { isId } from '../../../protocol/ids.ts'
import type { MediaRecord, MediaRecords, RecallsMedia } from '../../records/record-store.ts'

/**
 * The media as it is remembered, if its lease is alive. `null`: `openMedia` knows, or says what is wrong. A turn of the
 * event loop is worth saving where all there is to do is to send a few bytes.
 */
export function recallMedia(records: Partial<RecallsMedia>, mediaId: string, now: number): MediaRecord | null {
  const media = records.recallMedia?.(mediaId) ?? null
  return media && isAlive(media, now) ? media : null
}

/** The media, if its lease is alive. Whoever knows the id may ask. @throws not_found, gone */
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

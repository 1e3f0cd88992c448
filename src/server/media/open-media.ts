import { SealiftError } from '../../protocol/errors.ts'
import { isId } from '../../protocol/ids.ts'
import type { MediaRecord, MediaRecords } from '../records/record-store.ts'

/** The media, if its lease is alive. Whoever knows the id may ask. @throws not_found, gone */
export async function openMedia(records: MediaRecords, mediaId: string, now: number): Promise<MediaRecord> {
  const media = isId(mediaId) ? await records.findMedia(mediaId) : null
  if (!media) throw new SealiftError('not_found', 'There is no such media')
  assertAlive(media, now)
  return media
}

/** @throws gone */
export function assertAlive(media: MediaRecord, now: number): void {
  if (media.endedAt !== null || media.expiresAt <= now) {
    throw new SealiftError('gone', 'This media has expired, or its sender deleted it or gave it up')
  }
}

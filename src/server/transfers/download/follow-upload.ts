import { SealiftError } from '../../../protocol/errors.ts'
import type { BlobStore, ByteSink } from '../../blobs/blob-store.ts'
import { blobTopic, followTopic, type ChangeFeed } from '../../change-feed/change-feed.ts'
import type { MediaRecords } from '../../records/record-store.ts'
import type { MediaRecord } from '../../records/record-types.ts'

export interface FollowUpload {
  readonly records: MediaRecords
  readonly blobs: BlobStore
  readonly feed: ChangeFeed
}

export interface UploadProgress {
  readonly media: MediaRecord
  /** Readable from the start without a gap. */
  readonly durableBytes: number
}

/** Bytes that are readable from the start now. */
export async function durableBytesOf(records: MediaRecords, media: MediaRecord): Promise<number> {
  if (media.state === 'complete') return media.sizeBytes ?? 0
  return records.durablePrefix(media.blobId)
}

/**
 * Waits until byte `position` is durable or the media item is complete, whichever comes first.
 * @throws gone when the upload is given up or the lease ends meanwhile
 */
export function waitForByte(
  { records, feed }: Pick<FollowUpload, 'records' | 'feed'>,
  { mediaId, blobId }: MediaRecord,
  position: number,
  signal: AbortSignal,
): Promise<UploadProgress> {
  const look = async (): Promise<UploadProgress | null> => {
    const media = await records.findMedia(mediaId)
    if (!media || media.endedAt !== null) throw new SealiftError('gone', 'The sender gave this media item up')
    const durableBytes = await durableBytesOf(records, media)
    return durableBytes > position || media.state === 'complete' ? { media, durableBytes } : null
  }
  return followTopic({ feed, topic: blobTopic(blobId), signal }, look)
}

/**
 * Copies bytes from `start` to `end` (`null`: to the end, wherever that will be) into `sink` as they become durable.
 * Resolves with the position reached: `end`, or the size of the media item.
 */
export async function followBytes(
  deps: FollowUpload,
  media: MediaRecord,
  { start, end, sink }: { start: number; end: number | null; sink: ByteSink },
  signal: AbortSignal,
): Promise<number> {
  const stop = end ?? Infinity
  let position = start
  while (position < stop) {
    const progress = await waitForByte(deps, media, position, signal)
    const until = Math.min(stop, progress.durableBytes)
    if (until > position) await deps.blobs.read(media, { start: position, end: until }, sink, signal)
    const finished = progress.media.state === 'complete' && until >= progress.durableBytes
    position = Math.max(position, until)
    if (finished) break
  }
  return position
}

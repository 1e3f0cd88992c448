import { SealiftError } from '../../../protocol/errors.ts'
import type { BlobStore, ByteSink } from '../../blobs/blob-store.ts'
import { blobTopic, type ChangeFeed } from '../../change-feed/change-feed.ts'
import type { MediaRecord, MediaRecords } from '../../records/record-store.ts'

/** The feed is a hint; a follower looks again after this long even when nothing was announced. */
const LOOK_AGAIN_MS = 15_000

export interface FollowUpload {
  readonly records: MediaRecords
  readonly blobs: BlobStore
  readonly feed: ChangeFeed
}

export interface Progress {
  readonly media: MediaRecord
  /** Readable from the start without a gap. */
  readonly durableBytes: number
}

/** Bytes readable from the start of a media, now. */
export async function durableBytesOf(records: MediaRecords, media: MediaRecord): Promise<number> {
  if (media.state === 'complete') return media.sizeBytes ?? 0
  return records.durablePrefix(media.blobId, media.partBytes)
}

/**
 * Waits until byte `position` is durable or the media is complete, whichever comes first.
 * @throws gone when the upload is given up or the lease ends meanwhile
 */
export async function waitForByte(
  { records, feed }: Pick<FollowUpload, 'records' | 'feed'>,
  { mediaId, blobId }: MediaRecord,
  position: number,
  signal: AbortSignal,
): Promise<Progress> {
  using changes = feed.listen(blobTopic(blobId))
  for (;;) {
    const media = await records.findMedia(mediaId)
    if (!media || media.endedAt !== null) throw new SealiftError('gone', 'The sender gave this media up')
    const durableBytes = await durableBytesOf(records, media)
    if (durableBytes > position || media.state === 'complete') return { media, durableBytes }
    await changes.next(LOOK_AGAIN_MS, signal)
  }
}

/**
 * Copies bytes from `start` to `end` (`null`: to the end, wherever that will be) into `sink` as they become durable.
 * Resolves with the position reached: `end`, or the size of the media.
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

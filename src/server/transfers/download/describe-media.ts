import { createHash } from 'node:crypto'

import { BoundedMap } from '../../../common/bounded-map.ts'
import type { Media } from '../../../protocol/schemas.ts'
import type { BlobId } from '../../blobs/blob-store.ts'
import type { MediaRecords } from '../../records/record-store.ts'
import type { MediaRecord } from '../../records/record-types.ts'
import type { Clock } from '../../clock.ts'
import { durableBytesOf } from './follow-upload.ts'
import { openMedia } from './open-media.ts'

const ALPHABET = 'abcdefghijklmnopqrstuvwxyz234567'

/**
 * The strong validator of a blob's bytes, quotes included: constant from the moment its upload begins, the same for
 * every lease of it, and no way back to the blob's internal id.
 */
export function etagOf(blobId: BlobId): string {
  return etags.getOrSet(blobId, deriveEtag)
}

const CACHED_ETAGS = 10_000
const etags = new BoundedMap<BlobId, string>(CACHED_ETAGS)

function deriveEtag(blobId: BlobId): string {
  const digest = createHash('sha256').update(`sealift/etag/${blobId}`).digest()
  let tag = ''
  for (let index = 0; index < 26; index++) tag += ALPHABET.charAt((digest[index] ?? 0) & 31)
  return `"${tag}"`
}

/** What a reader of a media item may know. @param durableBytes readable from the start without a gap */
export function describeMedia(media: MediaRecord, durableBytes: number): Media {
  return {
    mediaId: media.mediaId,
    state: media.state,
    ...(media.sizeBytes === null ? {} : { sizeBytes: media.sizeBytes }),
    durableBytes,
    etag: etagOf(media.blobId),
    createdAt: new Date(media.createdAt).toISOString(),
    expiresAt: new Date(media.expiresAt).toISOString(),
    ...(media.maxDownloads === null
      ? {}
      : { maxDownloads: media.maxDownloads, downloadsLeft: Math.max(0, media.maxDownloads - media.downloadsUsed) }),
    ...(media.sourceId === null ? {} : { endsWithSource: true as const }),
  }
}

export function describeComplete(media: MediaRecord): Media {
  return describeMedia(media, media.sizeBytes ?? 0)
}

/** Never counted as a download. @throws not_found, gone */
export async function mediaInfo(
  { records, clock }: { readonly records: MediaRecords; readonly clock: Clock },
  mediaId: string,
): Promise<Media> {
  const media = await openMedia(records, mediaId, clock())
  return describeMedia(media, await durableBytesOf(records, media))
}

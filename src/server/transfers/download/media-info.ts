import type { Media } from '../../../protocol/schemas.ts'
import type { Clock } from '../../clock.ts'
import type { MediaRecords } from '../../records/record-store.ts'
import { describeMedia } from './describe-media.ts'
import { durableBytesOf } from './follow-upload.ts'
import { openMedia } from './open-media.ts'

/** Facts about a media; asking is never counted as a download. @throws not_found, gone */
export async function mediaInfo(
  { records, clock }: { readonly records: MediaRecords; readonly clock: Clock },
  mediaId: string,
): Promise<Media> {
  const media = await openMedia(records, mediaId, clock())
  return describeMedia(media, await durableBytesOf(records, media))
}

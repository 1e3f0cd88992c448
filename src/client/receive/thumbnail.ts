import type { SealedMedia } from '../manifest.ts'
import { receiveError } from '../manifest/media-errors.ts'
import type { DownloadContext } from './item-download.ts'
import { MediaSource } from './media-source.ts'
import { orderedPlain } from './ordered-plain.ts'
import { SealedItem } from './media-reader.ts'

/** A thumbnail is one part at most. */
const RUN_BYTES = 1024 * 1024

/** A thumbnail, whole, in pieces. */
export async function* readThumbnail(
  { server, suite, parallel, ranges }: DownloadContext,
  thumbnail: SealedMedia,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const { media: mediaId, sealedBytes } = thumbnail
  try {
    const source = new MediaSource({ server, mediaId, sealedBytes, sending: false })
    const item = new SealedItem({ source, suite, role: 'thumbnail', facts: thumbnail })
    const range = { start: 0, end: item.bytes }
    yield* orderedPlain({ item, range, runBytes: RUN_BYTES, parallel, ranges }, signal)
  } catch (error) {
    throw receiveError(error, false)
  }
}

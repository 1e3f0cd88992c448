import type { CompleteItem, ManifestItem } from '../manifest.ts'
import type { RandomSource } from '../api/source.ts'
import { receiveError } from '../manifest/media-errors.ts'
import type { DownloadContext, ItemDownload } from './item-download.ts'
import { grantOf, MediaSource } from './media-source.ts'
import { openOriginal } from './open-original.ts'
import { holdsOriginal } from './original-delivery.ts'
import { isMade } from './download-context.ts'
import { holdsItem } from './verify-local-copy.ts'

/** Whether `source` holds what an item is. */
export async function compareItem(
  context: DownloadContext,
  { item, source, resume }: Pick<ItemDownload, 'item' | 'resume'> & { readonly source: RandomSource },
  signal: AbortSignal,
): Promise<boolean> {
  if (!isComplete(item)) return false
  const { server, suite } = context
  const { media: mediaId, sealedBytes } = item
  try {
    if (item.original) {
      if (!isMade(item)) return false
      await using opened = await openOriginal(context, { item, resume }, signal)
      return await holdsOriginal({ file: opened.file, source, suite }, signal)
    }
    const media = new MediaSource({ server, mediaId, sealedBytes, sending: false, ...grantOf(resume) })
    return await holdsItem({ item, media, source, suite }, signal)
  } catch (error) {
    throw receiveError(error, false)
  }
}

function isComplete(item: ManifestItem): item is CompleteItem {
  return item.state === 'complete'
}

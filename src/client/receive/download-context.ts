import { isSealiftError } from '../../protocol/errors.ts'
import { originalOf } from '../manifest.ts'
import type { MadeItem, ManifestItem, SealedMedia } from '../manifest.ts'

/** Far enough along to be read, or followed. */
export type ReadableItem = ManifestItem & Pick<SealedMedia, 'media' | 'key' | 'commit' | 'chunkBytes'>

export function isReadable(item: ManifestItem): item is ReadableItem {
  return ![item.media, item.key, item.commit, item.chunkBytes].includes(undefined)
}

/** All that its file is put together from has been sent. */
export function isMade(item: ManifestItem): item is MadeItem {
  return originalOf(item) !== null
}

/** Whether `now` tells of other bytes than `before` did. One that was begun anew and has none yet does not say so. */
export function isOther(now: ManifestItem, before: ReadableItem): boolean {
  if (!isReadable(now)) return false
  const isSame = now.media === before.media && now.key === before.key && now.commit === before.commit
  return !isSame || (now.original === undefined) !== (before.original === undefined)
}

/** Whether the server says that a media has ended. */
export function hasEnded(error: unknown): boolean {
  return isSealiftError(error, 'gone', 'not_found')
}

import { isSealiftError } from '../../protocol/errors.ts'
import type { CryptoSuite } from '../../sealing/index.ts'
import { originalOf } from '../manifest.ts'
import type { MadeItem, ManifestItem, SealedMedia } from '../manifest.ts'

/** Far enough along to be read, or followed. */
export type ReadableItem = ManifestItem & Pick<SealedMedia, 'media' | 'key' | 'commit' | 'chunkBytes'>

export function isReadable(item: ManifestItem): item is ReadableItem {
  return ![item.media, item.key, item.commit, item.chunkBytes].includes(undefined)
}

/** All that its file is put together from has been sent. */
export function hasOriginal(item: ManifestItem): item is MadeItem {
  return originalOf(item) !== null
}

/** Whether `now` tells of other bytes than `before` did. One that was begun anew and has none yet does not say so. */
export function isOther(now: ManifestItem, before: ReadableItem): boolean {
  if (!isReadable(now)) return false
  const isSame = now.media === before.media && now.key === before.key && now.commit === before.commit
  return !isSame || (now.original === undefined) !== (before.original === undefined)
}

/** Whether the server says that a media has ended. */
export function isEnded(error: unknown): boolean {
  return isSealiftError(error, 'gone', 'not_found')
}

/**
 * Names the bytes of an item: key and commitment pin them, the place tells copies in one parcel apart.
 * @returns 32 hexadecimal digits
 */
export function itemId(
  { key, commit, original }: ManifestItem,
  { parcelId, index, suite }: { parcelId: string; index: number; suite: Pick<CryptoSuite, 'sha256'> },
): string {
  const pinned = [index, key ?? parcelId, commit ?? '', ...(original ? ['original'] : [])].join('/')
  const digest = suite
    .sha256()
    .update(new TextEncoder().encode(`sealift/1/item/${pinned}`))
    .digest()
  return Array.from(digest.subarray(0, 16), byte => byte.toString(16).padStart(2, '0')).join('')
}

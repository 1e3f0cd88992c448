import type { LimitFunction } from 'p-limit'

import { isSealiftError } from '../../protocol/errors.ts'
import type { CryptoSuite } from '../../sealing/index.ts'
import { originalOf } from '../manifest/manifest.ts'
import type { ItemWithOriginal, ManifestItem, SealedMedia } from '../manifest/manifest.ts'
import type { DownloadResume } from '../api/source-and-sink.ts'
import type { Server } from '../wire/http.ts'
import type { ParcelFeed } from './parcel-feed.ts'

/** What all downloads of a client share. */
export interface DownloadContext {
  readonly server: Server
  readonly suite: CryptoSuite
  readonly feed: ParcelFeed
  readonly ranges: LimitFunction
  readonly parallel: number
}

export interface ItemDownload {
  readonly index: number
  readonly item: ManifestItem
  readonly resume?: DownloadResume | undefined
  readonly moved: (bytes: number) => void
  /** Receives the number of bytes that an earlier download has stored. */
  readonly found?: (bytes: number) => void
}

/** An item whose bytes can be read, or followed while they are being sent. */
export type ReadableItem = ManifestItem & Pick<SealedMedia, 'media' | 'key' | 'commit' | 'chunkBytes'>

export function isReadable(item: ManifestItem): item is ReadableItem {
  return ![item.media, item.key, item.commit, item.chunkBytes].includes(undefined)
}

/** Whether everything that the original file is rebuilt from has been sent. */
export function hasOriginal(item: ManifestItem): item is ItemWithOriginal {
  return originalOf(item) !== null
}

/** Whether `now` has other bytes than `before`. An item that was restarted and has no bytes yet does not count. */
export function isOther(now: ManifestItem, before: ReadableItem): boolean {
  if (!isReadable(now)) return false
  const isSame = now.media === before.media && now.key === before.key && now.commit === before.commit
  return !isSame || (now.original === undefined) !== (before.original === undefined)
}

/** Whether a media item has expired or was deleted. */
export function isEnded(error: unknown): boolean {
  return isSealiftError(error, 'gone', 'not_found')
}

/**
 * Identifies the bytes of an item by key and commitment, and copies in one parcel by their position.
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

/** What is shared: the sealed description that only holders of the link's key read. */
import type { TrackMedia } from './film-readers.ts'
import type { CompleteItem, ManifestItem, SealedMedia } from './manifest-readers.ts'

export type { FilmDescription, FilmStoryboard, FilmSubtitles, FilmTrack, TrackMedia } from './film-readers.ts'
export type { CompleteItem, Manifest, ManifestItem, Preview, SealedMedia, SendingItem } from './manifest-readers.ts'

export const MANIFEST_VERSION = 1

/** As many media as a parcel may cover. */
export const MAX_ITEMS = 20_000
export const MAX_NOTE_CHARACTERS = 2000

/** An item whose file can be put together from it. */
export type MadeItem = CompleteItem & { readonly original: { readonly bytes: number; readonly runs: SealedMedia } }

export function originalOf(item: ManifestItem): MadeItem['original'] | null {
  const { original } = item
  return item.state === 'complete' && original?.runs ? { bytes: original.bytes, runs: original.runs } : null
}

/** Whether all of an item is there: its bytes, and what its original is put together by. */
export function isSent(item: ManifestItem): item is CompleteItem {
  return item.state === 'complete' && (!item.original || originalOf(item) !== null)
}

/** The bytes of an item as those of a track; `null` while there are none. */
export function trackMediaOf(item: ManifestItem): TrackMedia | null {
  if (item.state === 'complete') return item
  const { media, key, commit, chunkBytes } = item
  if (media === undefined || key === undefined || commit === undefined || chunkBytes === undefined) return null
  return { state: 'sending', media, key, commit, chunkBytes }
}

/** Whether more of an item will follow: of its bytes, or of its film. */
export function isBeingSent(item: ManifestItem): boolean {
  return !isSent(item) || item.video?.['state'] === 'sending'
}

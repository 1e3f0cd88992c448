/** What is shared: the sealed description that only holders of the link's key read. */
import { read } from '../../protocol/reader.ts'
import { filmDescriptionReader } from './film-readers.ts'
import type { FilmDescription, FilmTrack, TrackMedia } from './film-readers.ts'
import type { CompleteItem, ManifestItem, SealedMedia } from './manifest-readers.ts'

export type { FilmDescription, FilmStoryboard, FilmSubtitles, FilmTrack, TrackMedia } from './film-readers.ts'
export type { CompleteItem, Manifest, ManifestItem, Preview, SealedMedia, SendingItem } from './manifest-readers.ts'

export const MANIFEST_VERSION = 1

/** Most media items that a parcel covers. */
export const MAX_ITEMS = 20_000

export const MAX_NOTE_CHARACTERS = 2000

/** An item whose original file can be rebuilt. */
export type ItemWithOriginal = CompleteItem & {
  readonly original: { readonly bytes: number; readonly runs: SealedMedia }
}

export function originalOf(item: ManifestItem): ItemWithOriginal['original'] | null {
  const { original } = item
  return item.state === 'complete' && original?.runs ? { bytes: original.bytes, runs: original.runs } : null
}

/** Whether all of an item is sent: its bytes, and the list of runs of its original. */
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

/** Ids of all media items that an item refers to: what a parcel must cover, and a forward must lease. */
export function mediaOfItem(item: ManifestItem): string[] {
  const media = new Set<string>()
  withMedia(item, id => {
    media.add(id)
    return id
  })
  return Array.from(media)
}

/** The item with each media's id replaced. What it does not understand of a film, it leaves as it is. */
export function withMedia(item: ManifestItem, rename: (media: string) => string): ManifestItem {
  const film = read(filmDescriptionReader, item.video).value
  return {
    ...item,
    ...(item.thumbnail && { thumbnail: renamed(item.thumbnail, rename) }),
    ...(item.original?.runs && { original: { ...item.original, runs: renamed(item.original.runs, rename) } }),
    ...(item.media !== undefined && { media: rename(item.media) }),
    ...(film && { video: filmWithMedia(film, rename) }),
  }
}

function filmWithMedia(film: FilmDescription, rename: (media: string) => string): FilmDescription {
  const { renditions, audio, subtitles, storyboard } = film
  const inTrack = (track: FilmTrack): FilmTrack =>
    track.media ? { ...track, media: renamed(track.media, rename) } : track
  return {
    ...film,
    renditions: renditions.map(inTrack),
    ...(audio && { audio: audio.map(inTrack) }),
    ...(subtitles && { subtitles: subtitles.map(each => ({ ...each, media: renamed(each.media, rename) })) }),
    ...(storyboard && { storyboard: { ...storyboard, media: renamed(storyboard.media, rename) } }),
  }
}

function renamed<T extends { readonly media: string }>(sealed: T, rename: (media: string) => string): T {
  return { ...sealed, media: rename(sealed.media) }
}

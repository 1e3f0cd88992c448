/** Which media an item of a manifest refers to: what a parcel must cover, and a forward must lease. */
import { read } from '../protocol/reader.ts'
import { filmDescriptionReader } from './film-readers.ts'
import type { FilmDescription, FilmTrack } from './film-readers.ts'
import type { ManifestItem } from './manifest.ts'

/** Ids of all media that an item refers to. */
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

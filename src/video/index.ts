/** Films: packaged so that they play from the first segment on. For Node and browsers; `sealift/player` plays them. */
export { CannotPackage } from './packager.ts'
export type {
  FilmInput,
  PackagedFilm,
  PackagedStoryboard,
  PackagedSubtitles,
  PackagedTrack,
  PackageOptions,
  Packager,
  Pictures,
  Segment,
  TrackLayout,
} from './packager.ts'
export { masterPlaylist, mediaPlaylist, subtitlesPlaylist } from './playlists.ts'
export type { MediaPlaylistOptions, PlaylistNames } from './playlists.ts'

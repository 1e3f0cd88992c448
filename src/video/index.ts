/// <reference lib="esnext.disposable" preserve="true" />
/** Films: packaged so that they play from the first segment on. For Node and browsers; `sealift/player` plays them. */
export { filmMaker } from './film-maker.ts'
export type { FilmMakerOptions, OriginalMaker } from './film-maker.ts'
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
export { describeOriginal, originalMaker } from './original/describe-original.ts'
export type { DescribedOriginal, DescribeOptions } from './original/describe-original.ts'
export { SampleIndex } from './original/sample-index.ts'
export { createRemuxer, REMUX_WAY } from './remux/remuxer.ts'
export {
  filmTargetSeconds,
  masterPlaylist,
  mediaPlaylist,
  subtitlesPlaylist,
  trackBytes,
  trackSeconds,
} from './playlists.ts'
export type { MediaPlaylistOptions, PlaylistNames } from './playlists.ts'

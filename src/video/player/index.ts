/// <reference lib="esnext.disposable" preserve="true" />
/** Plays films of a parcel in a page: `sealift/player`. For browsers. */
export { attach } from './film-player.ts'
export { hoverPreview } from './hover-preview.ts'
export type { HoverPreviewOptions } from './hover-preview.ts'
export { PlayerError } from './player.ts'
export type { PlayerErrorCode } from './player.ts'
export type {
  Player,
  PlayerEvents,
  PlayerOptions,
  PlayerState,
  Quality,
  StoryboardTile,
  TrackChoice,
} from './player.ts'

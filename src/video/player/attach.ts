import type { Parcel, ParcelItem } from '../../client/index.ts'
import { FilmPlayer } from './film-player.ts'
import type { Player, PlayerOptions } from './player.ts'

/**
 * Plays an item of a parcel in a `<video>` or `<audio>` element: a film from its first segment on, in the quality that
 * the bandwidth allows, also while it is still being sent; anything else that the browser can play, once all of it has
 * been fetched. No other player may use the element until `destroy`.
 *
 * Returns at once; `state` and the events report progress. Loads hls.js when it is called.
 */
export function attach(
  element: HTMLMediaElement,
  parcel: Parcel,
  item: ParcelItem,
  options: PlayerOptions = {},
): Player {
  return new FilmPlayer({ element, parcel, item, options })
}

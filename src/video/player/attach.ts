import type { Parcel, ParcelItem } from '../../client/index.ts'
import { FilmPlayer } from './film-player.ts'
import type { Player, PlayerOptions } from './player.ts'

/**
 * Plays an item of a parcel in a `<video>` or `<audio>` element: a film from its first segment on, in the quality that
 * the line carries, whether it has been sent or is still being sent; anything else that the browser can play whole.
 * The element must not be played by another player; it is the caller's again after `destroy`.
 *
 * Returns at once; `state` and the events tell how it goes. Loads hls.js only when it is called.
 */
export function attach(
  element: HTMLMediaElement,
  parcel: Parcel,
  item: ParcelItem,
  options: PlayerOptions = {},
): Player {
  return new FilmPlayer({ element, parcel, item, options })
}

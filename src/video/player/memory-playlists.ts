import { mediaPlaylist, masterPlaylist, subtitlesPlaylist, trackSeconds } from '../playlists.ts'
import { parseAddress, playlistNames, trackUri } from './film-addresses.ts'
import type { FilmAddress } from './film-addresses.ts'
import type { GrowingFilm } from './growing-film.ts'

/**
 * What hls.js reads as a promise that a playlist is answered when it has grown (`_HLS_msn`): so it asks for the next
 * segment at once and is answered the moment there is one, instead of asking every few seconds.
 */
const BLOCKING = '#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES'

/** The text of a playlist, as the film stands now. @throws damaged_media when the description contradicts itself */
export function playlistText(film: GrowingFilm, url: string): string {
  const address = parseAddress(url)
  if (!address) return masterPlaylist(film.film.description, playlistNames)
  return address.kind === 'subtitles' ? ofSubtitles(film, address) : ofTrack(film, address)
}

function ofTrack(film: GrowingFilm, address: FilmAddress): string {
  const track = film.track(address)
  if (!track) throw new RangeError('There is no such track')
  const { hasGrown, targetSeconds } = film
  const state = film.sending ? 'sending' : 'complete'
  const text = mediaPlaylist(track, { uri: trackUri(address), state, hasGrown, targetSeconds })
  return state === 'sending' ? text.replace('#EXTM3U', `#EXTM3U\n${BLOCKING}`) : text
}

function ofSubtitles(film: GrowingFilm, address: FilmAddress): string {
  const { seconds, renditions } = film.film.description
  const known = seconds ?? Math.max(...renditions.map(trackSeconds))
  return subtitlesPlaylist({ uri: trackUri(address), seconds: known })
}

/**
 * Addresses of a film that lies in memory. hls.js resolves and compares URLs, so they need a scheme and a host; the
 * host is one that cannot exist (RFC 6761), and no address is ever asked of the network.
 */
import type { PlaylistNames } from '../playlists.ts'

const BASE = 'https://film.invalid/'

/** What is behind an address. */
export interface FilmAddress {
  readonly kind: 'rendition' | 'audio' | 'subtitles'
  /** Place in the description's list of that kind. */
  readonly index: number
}

export const MASTER_URL = `${BASE}film.m3u8`

/** Of media playlists, relative to the master playlist. */
export const playlistNames: PlaylistNames = {
  rendition: index => `rendition/${index}.m3u8`,
  audio: index => `audio/${index}.m3u8`,
  subtitles: index => `subtitles/${index}.m3u8`,
}

/** Of a track's file, relative to its media playlist. */
export const trackUri = ({ index }: FilmAddress): string => `${index}.track`

/** `null` for the master playlist, and for what is no address of ours. */
export function parseAddress(url: string): FilmAddress | null {
  const { pathname } = new URL(url)
  const match = /^\/(?<kind>rendition|audio|subtitles)\/(?<index>\d+)\./.exec(pathname)
  const { kind, index } = match?.groups ?? {}
  if (kind !== 'rendition' && kind !== 'audio' && kind !== 'subtitles') return null
  return { kind, index: Number(index) }
}

/** The number of the segment that a blocking request for a playlist waits for; `null` when it waits for none. */
export function awaitedSegment(url: string): number | null {
  const value = new URL(url).searchParams.get('_HLS_msn')
  return value === null ? null : Number(value)
}

/** What the gateway serves of a film, by the last part of the path. */
import { SealiftError, type Film, type FilmTrack } from '../../client/node/index.ts'
import { filmTargetSeconds, masterPlaylist, mediaPlaylist, subtitlesPlaylist, trackSeconds } from '../../video/index.ts'
import type { FollowedParcel } from './followed-parcel.ts'
import type { Resource, TextResource } from './resource.ts'
import { checkTrackStart, trackResource, type TrackPlace } from './track-resource.ts'

const HLS = 'application/vnd.apple.mpegurl'
/**
 * Longest wait for the first segment of a film whose sending has just begun: players take a playlist without any ill.
 */
const FIRST_SEGMENT_MS = 30_000
/** Later segments may be longer than those that the target duration is chosen by. */
const TARGET_ROOM = 2

/** Files of a film; remembers what it has said of a film that grows, for that must stay. */
export class FilmResources {
  readonly #followed: FollowedParcel
  readonly #index: number
  #growingTarget: number | null = null

  constructor(followed: FollowedParcel, index: number) {
    this.#followed = followed
    this.#index = index
  }

  /** `null`: there is no such file. */
  async find(name: string, signal: AbortSignal): Promise<Resource | null> {
    const film = this.#followed.film(this.#index)
    if (!film) return null
    if (name === 'master.m3u8') return playlist(masterPlaylist(film.description, playlistNames))
    const match = /^([ras])(0|[1-9]\d?)\.(m3u8|mp4|vtt)$/.exec(name)
    if (!match) return null
    const [, kind, number, ending] = match
    if (kind === 's') return subtitles(film, { number: Number(number), ending, signal })
    const place = placeOf(kind === 'r' ? 'renditions' : 'audio', Number(number))
    const track = place(film)
    if (!track) return null
    if (ending === 'mp4') {
      await checkTrackStart(film, track, signal)
      return trackResource(this.#followed, this.#index, place)
    }
    return ending === 'm3u8' ? this.#trackPlaylist(place, `${kind}${number}.mp4`, signal) : null
  }

  async #trackPlaylist(place: TrackPlace, uri: string, signal: AbortSignal): Promise<TextResource | null> {
    const track = await this.#trackWithSegments(place, signal)
    const film = this.#followed.film(this.#index)
    if (!film || !track) return null
    await checkTrackStart(film, track, signal)
    const sending = film.description.state === 'sending'
    const least = filmTargetSeconds(film.description)
    if (sending) this.#growingTarget ??= least * TARGET_ROOM
    return playlist(
      mediaPlaylist(track, {
        uri,
        state: sending && !this.#followed.ended ? 'sending' : 'complete',
        hasGrown: this.#growingTarget !== null,
        targetSeconds: this.#growingTarget ?? least,
      }),
    )
  }

  async #trackWithSegments(place: TrackPlace, outer: AbortSignal): Promise<FilmTrack | undefined> {
    const track = (): FilmTrack | undefined => {
      const film = this.#followed.film(this.#index)
      return film ? place(film) : undefined
    }
    const signal = AbortSignal.any([outer, AbortSignal.timeout(FIRST_SEGMENT_MS)])
    try {
      await this.#followed.until(() => (track()?.segments.length ?? 0) > 0, signal)
    } catch (error) {
      if (outer.aborted) throw error
    }
    return track()
  }
}

const playlistNames = {
  rendition: (index: number) => `r${index}.m3u8`,
  audio: (index: number) => `a${index}.m3u8`,
  subtitles: (index: number) => `s${index}.m3u8`,
}

function playlist(body: string): TextResource {
  return { type: HLS, body }
}

function placeOf(list: 'renditions' | 'audio', number: number): TrackPlace {
  return film => film.description[list]?.[number]
}

interface SubtitlesAsked {
  readonly number: number
  readonly ending: string | undefined
  readonly signal: AbortSignal
}

async function subtitles(film: Film, { number, ending, signal }: SubtitlesAsked): Promise<TextResource | null> {
  const { subtitles: tracks = [], seconds, renditions } = film.description
  const track = tracks[number]
  if (!track) return null
  if (ending === 'vtt') return webVtt(await film.readWhole(track.media, { signal }))
  if (ending !== 'm3u8') return null
  const known = renditions.map(each => trackSeconds(each))
  return playlist(subtitlesPlaylist({ uri: `s${number}.vtt`, seconds: seconds ?? Math.max(...known) }))
}

const WEBVTT = /^(?:\xef\xbb\xbf)?WEBVTT(?:[ \t\r\n]|$)/

/** Whatever else it is, a player could take it for a playlist. */
function webVtt(body: Uint8Array): TextResource {
  if (WEBVTT.test(Buffer.from(body.subarray(0, 16)).toString('latin1')))
    return { type: 'text/vtt; charset=utf-8', body }
  throw new SealiftError('damaged_media', 'Subtitles of this film are no WebVTT')
}

/** A picture of an item. @returns `null` when it has none */
export async function poster(
  { parcel }: FollowedParcel,
  index: number,
  signal: AbortSignal,
): Promise<TextResource | null> {
  const item = parcel.items[index]
  const body = item ? await parcel.thumbnail(item, { signal }) : null
  if (!body) return null
  if (body[0] === 0xff && body[1] === 0xd8) return { type: 'image/jpeg', body }
  throw new SealiftError('damaged_media', 'The picture of this item is no JPEG')
}

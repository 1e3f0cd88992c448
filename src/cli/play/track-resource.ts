import type { Film, PlainRange } from '../../client/node/index.ts'
import { SealiftError, type FilmTrack } from '../../client/node/index.ts'
import { trackBytes } from '../../video/index.ts'
import type { FollowedParcel } from './followed-parcel.ts'
import { isMp4Start, readHarmless } from './harmless-start.ts'
import type { BytesResource } from './resource.ts'

/** What one response holds is about twice this: the piece that is being written and the one after it. */
const PIECE_BYTES = 1024 * 1024
const MP4_START_BYTES = 8
const WHOLE = { start: 0, end: Number.MAX_SAFE_INTEGER }

/** Where a track is in a film, of whatever version of the parcel. */
export type TrackPlace = (film: Film) => FilmTrack | undefined

/** The decrypted file of a track: its initialization segment and the segments that are there. */
export function trackResource(followed: FollowedParcel, index: number, place: TrackPlace): BytesResource | null {
  const now = trackNow(followed, index, place)
  if (!now) return null
  const { film, track } = now
  const readableBytes = trackBytes(track)
  const complete = film.description.state === 'complete'
  const inside = ({ start, end }: PlainRange, signal: AbortSignal): AsyncIterable<Uint8Array> =>
    readAhead(film, { track, range: { start, end: Math.min(end, readableBytes) } }, signal)
  const growing = (_: PlainRange, signal: AbortSignal): AsyncIterable<Uint8Array> =>
    readGrowing(followed, { index, place }, signal)
  return {
    type: track.width === undefined && !track.codecs.match(/avc|hvc|hev|av01|vp0?[89]/) ? 'audio/mp4' : 'video/mp4',
    totalBytes: complete ? readableBytes : null,
    readableBytes,
    read: (range, signal) => readHarmless({ read: range ? inside : growing, name: '' }, range ?? WHOLE, signal),
  }
}

/**
 * Players take the bytes of a playlist for what they begin with, a playlist too: both the file and its initialization
 * segment must begin as an MP4.
 * @throws damaged_media
 */
export async function checkTrackStart(film: Film, track: FilmTrack, signal: AbortSignal): Promise<void> {
  for (const start of new Set([0, track.init[0]])) {
    const bytes = await film.read(track, { start, end: start + MP4_START_BYTES }, { signal })
    if (!isMp4Start(bytes)) throw new SealiftError('damaged_media', 'A track of this film is no MP4')
  }
}

interface TrackNow {
  readonly film: Film
  readonly track: FilmTrack
}

function trackNow(followed: FollowedParcel, index: number, place: TrackPlace): TrackNow | null {
  const film = followed.film(index)
  const track = film && place(film)
  return film && track ? { film, track } : null
}

/** All of a track, as it comes. @throws sender_gone when it will never be all */
async function* readGrowing(
  followed: FollowedParcel,
  { index, place }: { readonly index: number; readonly place: TrackPlace },
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  for (let start = 0; ;) {
    const now = trackNow(followed, index, place)
    if (!now) throw new SealiftError('damaged_media', 'A track is no longer in the manifest')
    const range = { start, end: Math.max(start, trackBytes(now.track)) }
    yield* readAhead(now.film, { track: now.track, range }, signal)
    start = range.end
    if (now.film.description.state === 'complete') return
    const version = followed.parcel
    if (!(await followed.until(() => followed.parcel !== version, signal)))
      throw new SealiftError('sender_gone', 'The sender stopped before everything was sent')
  }
}

/** A range in pieces, the next one being fetched while one is written. */
async function* readAhead(
  film: Film,
  { track, range }: { readonly track: FilmTrack; readonly range: PlainRange },
  outer: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const stop = new AbortController()
  const signal = AbortSignal.any([outer, stop.signal])
  const fetchAt = (start: number): Promise<Uint8Array> | null => {
    if (start >= range.end) return null
    const piece = film.read(track, { start, end: Math.min(range.end, start + PIECE_BYTES) }, { signal })
    // Its failure is handled when its turn comes.
    piece.catch(() => undefined)
    return piece
  }
  try {
    let piece = fetchAt(range.start)
    for (let next = range.start + PIECE_BYTES; piece; next += PIECE_BYTES) {
      const bytes = await piece
      piece = fetchAt(next)
      yield bytes
    }
  } finally {
    stop.abort()
  }
}

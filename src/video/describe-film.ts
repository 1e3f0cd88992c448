/** The manifest's description of a film that is being packaged and sent. */
import type {
  FilmDescription,
  FilmStoryboard,
  FilmSubtitles,
  FilmTrack,
  TrackMedia,
} from '../client/manifest/film-readers.ts'
import type { TrackProgress } from '../client/api/outgoing-film.ts'
import type { PackagedFilm, PackagedStoryboard, PackagedSubtitles, PackagedTrack, Segment } from './packager.ts'

/** Tracks seldom end at the same time; below this, no player waits for more. */
const MIN_TAIL_SECONDS = 0.1
/** The most that a manifest takes. */
const MAX_SEGMENT_SECONDS = 3600

/** A track and how much of it receivers can read. `progress.media` is left out where it is the item's own. */
export interface SentTrack {
  readonly track: PackagedTrack
  readonly progress: TrackProgress
  readonly isOwn: boolean
}

/** The parts of a film, each with what has been sent of it. */
export interface FilmState {
  readonly film: PackagedFilm
  readonly renditions: readonly SentTrack[]
  readonly audio: readonly SentTrack[]
  readonly subtitles: readonly { readonly subtitles: PackagedSubtitles; readonly progress: TrackProgress }[]
  readonly storyboard: { readonly packaged: PackagedStoryboard; readonly progress: TrackProgress } | null
}

/** @returns `null` while nothing of it could be played */
export function describeFilm({ film, renditions, audio, subtitles, storyboard }: FilmState): FilmDescription | null {
  const [first] = renditions
  if (!first) return null
  const tracks = [...renditions, ...audio]
  const video = renditions.flatMap(sent => describeTrack(sent) ?? [])
  const audioTracks = audio.flatMap(sent => describeTrack(sent) ?? [])
  // A player that has begun misses a quality that appears later: all of them at once, or none.
  if (video.length < renditions.length || audioTracks.length < audio.length) return null
  const complete = tracks.every(({ progress }) => progress.media?.state === 'complete')
  const seconds = complete ? Math.max(...tracks.map(({ track }) => durationOf(track.layout.segments))) : film.seconds
  return {
    state: complete ? 'complete' : 'sending',
    ...(seconds !== null && { seconds }),
    renditions: complete && seconds !== null ? video.map(track => lengthened(track, seconds)) : video,
    ...(audioTracks.length > 0 && { audio: audioTracks }),
    ...withSubtitles(subtitles),
    ...(storyboard && withStoryboard(storyboard)),
  }
}

function describeTrack({ track, progress, isOwn }: SentTrack): FilmTrack | null {
  const { media, readableBytes } = progress
  const { init } = track.layout
  if (!media || !init) return null
  const segments = track.layout.segments.filter(([offset, length]) => offset + length <= readableBytes)
  if (segments.length === 0) return null
  const { codecs, width, height, frameRate } = track
  return {
    ...(isOwn ? {} : { media }),
    codecs,
    ...bandwidthOf(segments),
    ...(width !== undefined && { width }),
    ...(height !== undefined && { height }),
    ...(frameRate !== undefined && { frameRate }),
    ...choiceOf(track),
    init: [...init],
    segments: segments.map(([offset, length, seconds]) => [offset, length, seconds]),
  }
}

/** The playlist of a rendition is as long as the film, since separate audio may go on behind the video. */
function lengthened(track: FilmTrack, seconds: number): FilmTrack {
  const missing = seconds - track.segments.reduce((sum, segment) => sum + segment[2], 0)
  if (missing < MIN_TAIL_SECONDS) return track
  const longer = ([offset, length, own]: FilmTrack['segments'][number]): FilmTrack['segments'][number] => [
    offset,
    length,
    Math.min(MAX_SEGMENT_SECONDS, own + missing),
  ]
  return { ...track, segments: [...track.segments.slice(0, -1), ...track.segments.slice(-1).map(longer)] }
}

/** Of the densest segment and of all, as RFC 8216 4.3.4.2 defines them. */
function bandwidthOf(segments: readonly Segment[]): { bandwidth: number; averageBandwidth: number } {
  const rate = (bytes: number, seconds: number): number =>
    Math.max(1, Math.ceil((bytes * 8) / Math.max(seconds, 0.001)))
  // The last segment may be a few frames, mostly a key frame, and denser than any other.
  const judged = segments.filter(([, , seconds]) => seconds >= 0.5)
  const peaks = (judged.length > 0 ? judged : segments).map(([, length, seconds]) => rate(length, seconds))
  const bytes = segments.reduce((sum, [, length]) => sum + length, 0)
  const averageBandwidth = rate(bytes, durationOf(segments))
  return { bandwidth: peaks.reduce((most, peak) => Math.max(most, peak), averageBandwidth), averageBandwidth }
}

function durationOf(segments: readonly Segment[]): number {
  return segments.reduce((sum, [, , seconds]) => sum + seconds, 0)
}

interface Choice {
  readonly language?: string
  readonly name?: string
  readonly isDefault?: boolean
}

function choiceOf({ language, name, isDefault }: Choice): Choice {
  return {
    ...(language !== undefined && { language }),
    ...(name !== undefined && { name }),
    ...(isDefault !== undefined && { isDefault }),
  }
}

type CompleteMedia = Extract<TrackMedia, { state: 'complete' }>

const isComplete = (media: TrackMedia | null): media is CompleteMedia => media?.state === 'complete'

function withSubtitles(sent: FilmState['subtitles']): { subtitles?: FilmSubtitles[] } {
  const subtitles = sent.flatMap(({ subtitles, progress: { media } }) =>
    isComplete(media)
      ? [{ media, ...choiceOf(subtitles), ...(subtitles.isForced !== undefined && { isForced: subtitles.isForced }) }]
      : [],
  )
  return subtitles.length > 0 ? { subtitles } : {}
}

function withStoryboard({ packaged, progress: { media } }: NonNullable<FilmState['storyboard']>): {
  storyboard?: FilmStoryboard
} {
  if (!isComplete(media)) return {}
  const { sheets, ...shape } = packaged
  let at = 0
  const ranges = sheets.map(({ byteLength }): [number, number] => {
    const range: [number, number] = [at, byteLength]
    at += byteLength
    return range
  })
  return { storyboard: { ...shape, media, sheets: ranges } }
}

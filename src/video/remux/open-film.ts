import { ADTS, FLAC, Input, MATROSKA, MP3, MP4, MPEG_TS, OGG, QTFF, WAVE, WEBM } from 'mediabunny'
import type { InputTrack } from 'mediabunny'

import { isStill } from '../checks/declared.ts'
import type { DeclaredFilm, DeclaredTrack } from '../checks/declared.ts'
import { CannotPackage } from '../packager.ts'
import { chooseAudio, chooseVideo } from './choose-tracks.ts'
import type { LeftAudio } from './choose-tracks.ts'
import type { FilmSource } from './film-source.ts'
import { ENCODED_BY_CONTAINER } from './input-track.ts'
import type { CopiedAudio, CopiedVideo } from './input-track.ts'

/** No playlists (HLS): a film must not make the packager read other URLs. */
const FORMATS = [MP4, QTFF, MATROSKA, WEBM, WAVE, OGG, FLAC, MP3, ADTS, MPEG_TS]
const MAX_TRACKS = 64
/** The demuxer of transport streams caches up to all of what it has read. */
const MAX_TRANSPORT_STREAM_BYTES = 256 * 1024 * 1024

/** What of a film is copied. */
export interface OpenFilm {
  readonly input: Input
  readonly video: CopiedVideo | null
  /** The default one first. */
  readonly audio: readonly CopiedAudio[]
  /** Audio that has to be encoded; empty unless the caller does that. */
  readonly uncopied: readonly LeftAudio[]
  /** What the file declares; `null`: nothing that can be read. */
  readonly declared: DeclaredFilm | null
  /** Timestamp at which the first of the tracks begins. */
  readonly originSeconds: number
  /** Timestamp at which the package begins: decoding begins at zero, and reordered frames are decoded ahead of time. */
  readonly leadSeconds: number
  readonly seconds: number | null
  /** Whether each packet has a buffer of its own, which can be freed once the packet is written. */
  readonly givesOwnBytes: boolean
  readonly notes: readonly string[]
  /** As in `PackagedFilm`. */
  readonly keepsSamples: boolean
}

/**
 * @param leavesAudio the caller encodes what audio cannot be copied
 * @throws CannotPackage when nothing in it can be copied, or what can is not what a player would show of the file
 */
export async function openFilm(
  { source, sizeBytes, isUncached, readDeclared }: FilmSource,
  leavesAudio: boolean,
): Promise<OpenFilm> {
  const declared = await readDeclared()
  if (declared?.isSplit) throw new CannotPackage(SPLIT_INDEX)
  // Before the demuxer fails on it with a vague error.
  const main = declared && mainTrack(declared)
  if (main?.isEncoded) throw new CannotPackage(`Its ${main.kind} ${ENCODED_BY_CONTAINER}`)
  const input = new Input({ source, formats: FORMATS })
  try {
    const notes: string[] = []
    const choice = { tracks: await firstTracks(input, { sizeBytes, notes }), declared, notes, leavesAudio }
    const video = await chooseVideo(choice)
    const { audio, uncopied } = await chooseAudio(choice, video !== null)
    if (!video && audio.length === 0) throw nothingToPlay(notes)
    // Demuxers of other formats hold on to what they have read.
    const givesOwnBytes = isUncached && [MP4, QTFF].includes(await input.getFormat())
    const times = await timesOf(input, { tracks: choice.tracks, video, audio, uncopied })
    const copied = { givesOwnBytes, keepsSamples: await keepsSamples(input, video) }
    return { input, video, audio, uncopied, declared, ...times, ...copied, notes }
  } catch (error) {
    input.dispose()
    throw error
  }
}

interface Chosen {
  readonly tracks: readonly InputTrack[]
  readonly video: CopiedVideo | null
  readonly audio: readonly CopiedAudio[]
  readonly uncopied: readonly LeftAudio[]
}

async function timesOf(
  input: Input,
  { tracks, video, audio, uncopied }: Chosen,
): Promise<Pick<OpenFilm, 'originSeconds' | 'leadSeconds' | 'seconds'>> {
  const ahead = await video?.cursor.lookAhead()
  const begins = [...audio.map(({ cursor }) => cursor.first.timestamp), ...uncopied.map(each => each.begins)]
  const originSeconds = Math.min(...begins, ...(ahead ? [ahead.earliest] : []))
  const ends = [...(video ? [video] : []), ...audio].map(({ cursor }) => cursor.end)
  const declaredEnd = Math.max(...ends)
  const end = Number.isFinite(declaredEnd) ? declaredEnd : await input.getDurationFromMetadata([...tracks])
  const seconds = end !== null && Number.isFinite(end) && end > originSeconds ? end - originSeconds : null
  return { originSeconds, leadSeconds: ahead?.reorderSeconds ?? 0, seconds }
}

function mainTrack({ tracks }: DeclaredFilm): DeclaredTrack | undefined {
  return tracks.find(track => track.kind === 'video' && !isStill(track)) ?? tracks.find(({ kind }) => kind === 'audio')
}

const SPLIT_INDEX = 'Its index covers its first part alone: the rest of it is in movie fragments'

function nothingToPlay(notes: readonly string[]): CannotPackage {
  return new CannotPackage(['Nothing in it can be played without being encoded', ...notes].join('. '))
}

async function firstTracks(
  input: Input,
  { sizeBytes, notes }: { sizeBytes: number; notes: string[] },
): Promise<InputTrack[]> {
  if (!(await input.canRead())) throw new CannotPackage('It is neither video nor audio in a known format')
  if (sizeBytes > MAX_TRANSPORT_STREAM_BYTES && (await input.getFormat()) === MPEG_TS) {
    throw new CannotPackage('A transport stream of more than 256 MiB is not copied; as MP4 or Matroska it is')
  }
  const tracks = await input.getTracks()
  if (tracks.length > MAX_TRACKS) notes.push(`Of ${tracks.length} tracks only the first ${MAX_TRACKS} were looked at.`)
  return tracks.slice(0, MAX_TRACKS)
}

/**
 * Whether the packets of a film can be found in its file. A transport stream cuts them up; H.264 and H.265 without a
 * decoder configuration come with start codes, which copying replaces by lengths. Where the video is left out, most of
 * the file is not in the film anyway.
 */
export async function keepsSamples(
  input: Pick<Input, 'getFormat' | 'getPrimaryVideoTrack'>,
  video: Pick<CopiedVideo, 'codec' | 'config'> | null,
): Promise<boolean> {
  if ((await input.getFormat()) === MPEG_TS) return false
  if (!video) return (await input.getPrimaryVideoTrack()) === null
  return !['avc', 'hevc'].includes(video.codec) || video.config.description !== undefined
}

import { ADTS, FLAC, Input, MATROSKA, MP3, MP4, MPEG_TS, OGG, QTFF, WAVE, WEBM } from 'mediabunny'
import type { InputAudioTrack, InputTrack, InputVideoTrack } from 'mediabunny'

import { CannotPackage } from '../packager.ts'
import type { FilmSource } from './film-source.ts'
import { copiedAudio, copiedVideo } from './input-track.ts'
import type { CopiedAudio, CopiedVideo } from './input-track.ts'
import { keepsSamples } from './keeps-samples.ts'

/** No playlists (HLS): a film must not make us read other addresses. */
const FORMATS = [MP4, QTFF, MATROSKA, WEBM, WAVE, OGG, FLAC, MP3, ADTS, MPEG_TS]
const MAX_TRACKS = 64
const MAX_AUDIO_TRACKS = 16
/** The demuxer of transport streams keeps, for finding its way back, up to all of what it has read. */
const MAX_TRANSPORT_STREAM_BYTES = 256 * 1024 * 1024

/** What of a film is copied. */
export interface OpenFilm {
  readonly input: Input
  readonly video: CopiedVideo | null
  /** The default one first. */
  readonly audio: readonly CopiedAudio[]
  /** Timestamp at which the first of the tracks begins. */
  readonly originSeconds: number
  /** Timestamp at which the package begins: decoding begins at zero, and pictures out of order need some time. */
  readonly leadSeconds: number
  readonly seconds: number | null
  /** Whether nobody but who takes a packet holds its bytes. Where they are a view of more, somebody may. */
  readonly givesOwnBytes: boolean
  readonly notes: readonly string[]
  /** As in `PackagedFilm`. */
  readonly keepsSamples: boolean
}

/** @throws CannotPackage when nothing in it can be copied */
export async function openFilm({ source, sizeBytes, keepsNothing }: FilmSource): Promise<OpenFilm> {
  const input = new Input({ source, formats: FORMATS })
  try {
    const notes: string[] = []
    const tracks = await firstTracks(input, { sizeBytes, notes })
    const video = await chooseVideo(tracks, notes)
    const audio = await chooseAudio(tracks, notes)
    if (!video && audio.length === 0) throw nothingToPlay(notes)
    const cursors = [...(video ? [video] : []), ...audio].map(each => each.cursor.first.timestamp)
    const originSeconds = Math.min(...cursors)
    const end = await input.getDurationFromMetadata(tracks)
    const seconds = end !== null && Number.isFinite(end) && end > originSeconds ? end - originSeconds : null
    const leadSeconds = video ? await video.cursor.reorderSeconds() : 0
    // Demuxers of other formats hold on to what they have read.
    const givesOwnBytes = keepsNothing && [MP4, QTFF].includes(await input.getFormat())
    const isKept = await keepsSamples(input, video)
    return { input, video, audio, originSeconds, leadSeconds, seconds, givesOwnBytes, notes, keepsSamples: isKept }
  } catch (error) {
    input.dispose()
    throw error
  }
}

function nothingToPlay(notes: readonly string[]): CannotPackage {
  return new CannotPackage(['Nothing in it can be played without being encoded anew', ...notes].join('. '))
}

async function firstTracks(
  input: Input,
  { sizeBytes, notes }: { sizeBytes: number; notes: string[] },
): Promise<InputTrack[]> {
  if (!(await input.canRead())) throw new CannotPackage('It is neither a film nor sound in a format that is known')
  if (sizeBytes > MAX_TRANSPORT_STREAM_BYTES && (await input.getFormat()) === MPEG_TS) {
    throw new CannotPackage('A transport stream of more than 256 MiB is not copied; as MP4 or Matroska it is')
  }
  const tracks = await input.getTracks()
  if (tracks.length > MAX_TRACKS) notes.push(`Of ${tracks.length} tracks only the first ${MAX_TRACKS} were looked at.`)
  return tracks.slice(0, MAX_TRACKS)
}

async function chooseVideo(tracks: readonly InputTrack[], notes: string[]): Promise<CopiedVideo | null> {
  let chosen: CopiedVideo | null = null
  const videos = tracks.filter((track): track is InputVideoTrack => track.isVideoTrack())
  for (const track of await defaultFirst(videos)) {
    if (chosen) {
      notes.push(`Video track ${track.number} was left out: only one is sent.`)
      continue
    }
    const copied = await copiedVideo(track)
    if (typeof copied === 'string') notes.push(`Video track ${track.number} was left out: it ${copied}.`)
    else chosen = copied
  }
  return chosen
}

async function chooseAudio(tracks: readonly InputTrack[], notes: string[]): Promise<CopiedAudio[]> {
  const chosen: CopiedAudio[] = []
  const audios = tracks.filter((track): track is InputAudioTrack => track.isAudioTrack())
  for (const track of await defaultFirst(audios)) {
    const copied = chosen.length < MAX_AUDIO_TRACKS ? await copiedAudio(track) : 'is one too many'
    if (typeof copied === 'string') notes.push(`Sound track ${track.number} was left out: it ${copied}.`)
    else chosen.push(copied)
  }
  return chosen
}

async function defaultFirst<T extends InputTrack>(tracks: readonly T[]): Promise<T[]> {
  const ranked = await Promise.all(
    tracks.map(async track => ({ track, isDefault: (await track.getDisposition()).default })),
  )
  return ranked.sort((a, b) => Number(b.isDefault) - Number(a.isDefault)).map(({ track }) => track)
}

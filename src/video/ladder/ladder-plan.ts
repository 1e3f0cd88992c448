/** What ffmpeg makes of a film, planned from what ffprobe says of it. */
import { CannotPackage } from '../packager.ts'
import type { FilmFacts, StreamFacts } from './probe.ts'
import { ratio, shownSize, rungsFor, type Rung } from './rungs.ts'
import { MAX_AUDIO_TRACKS, MAX_SUBTITLES, type LadderLimits } from './ladder-limits.ts'

export type HdrMethod = 'tone-map' | 'convert'

export interface VideoPlan {
  /** Of the input's streams. */
  readonly stream: number
  readonly rungs: readonly Rung[]
  /** At most. */
  readonly framesPerSecond: number
  readonly isInterlaced: boolean
  /** `null`: it is SDR already. */
  readonly hdr: HdrMethod | null
}

export interface LadderPlan {
  /** The demuxer. */
  readonly format: string
  /** `null`: the file does not say. */
  readonly seconds: number | null
  /** `null`: audio alone. */
  readonly video: VideoPlan | null
  readonly audio: readonly AudioPlan[]
  readonly subtitles: readonly SubtitlePlan[]
  readonly notes: readonly string[]
}

export interface PlanOptions {
  readonly limits: LadderLimits
  readonly canToneMap: boolean
}

/** Faster video loses frames; slower and irregular video keeps its times. */
export const MAX_FRAMES_PER_SECOND = 60
const USUAL_FRAMES_PER_SECOND = 30

/** @throws CannotPackage when there is neither video nor audio, or more than the limits allow */
export function planLadder(facts: FilmFacts, options: PlanOptions): LadderPlan {
  const notes: string[] = []
  const { format, seconds } = planOf(facts, options.limits)
  const video = planVideo(facts.streams, options, notes)
  const audio = planAudio(facts.streams, notes)
  if (!video && audio.length === 0) throw new CannotPackage('There is neither video nor audio in the file')
  // A playlist offers a choice of audio beside video alone.
  if (!video && audio.length > 1)
    throw new CannotPackage(`It has ${audio.length} audio tracks and no video, and only one of them would play`)
  return { format, seconds, video, audio, subtitles: planSubtitles(facts.streams, notes), notes }
}

/** How the file is read, and how long it is. @throws CannotPackage when it is longer than the limits allow */
export function planOf(facts: FilmFacts, limits: LadderLimits): Pick<LadderPlan, 'format' | 'seconds'> {
  return { format: facts.format.format_name.split(',')[0] ?? '', seconds: secondsOf(facts, limits) }
}

function secondsOf({ format, streams }: FilmFacts, { seconds: most }: LadderLimits): number | null {
  const declared = format.duration ?? Math.max(0, ...streams.map(({ duration = 0 }) => duration))
  if (declared > most) throw new CannotPackage(`The film says that it lasts longer than ${Math.floor(most / 3600)} h`)
  return declared > 0 ? declared : null
}

function planVideo(
  streams: readonly StreamFacts[],
  { limits, canToneMap }: PlanOptions,
  notes: string[],
): VideoPlan | null {
  // Covers of albums are video streams too.
  const videos = streams.filter(each => each.codec_type === 'video' && each.disposition?.attached_pic !== true)
  const stream = videos.find(each => each.disposition?.default === true) ?? videos[0]
  if (!stream) return null
  const shown = shownSize(stream)
  if (!shown) throw new CannotPackage('The film does not declare the size of its video')
  if ((stream.width ?? 0) * (stream.height ?? 0) > limits.pixels) throw new CannotPackage('The video is too large')
  if (videos.length > 1) notes.push('Only one of several video tracks is shown.')
  const hdr = hdrMethod(stream, canToneMap)
  if (hdr === 'convert')
    notes.push('This ffmpeg has no tone mapping: colours of the HDR film are duller than they were.')
  const framesPerSecond = framesPerSecondOf(stream)
  return {
    stream: stream.index,
    rungs: rungsFor(shown, framesPerSecond),
    framesPerSecond,
    isInterlaced: ['tt', 'bb', 'tb', 'bt'].includes(stream.field_order ?? ''),
    hdr,
  }
}

/** `null`: the video is SDR already. */
export function hdrMethod(stream: StreamFacts, canToneMap: boolean): HdrMethod | null {
  if (!['smpte2084', 'arib-std-b67'].includes(stream.color_transfer ?? '')) return null
  return canToneMap ? 'tone-map' : 'convert'
}

function framesPerSecondOf(stream: StreamFacts): number {
  const rate = ratio(stream.avg_frame_rate) ?? ratio(stream.r_frame_rate) ?? USUAL_FRAMES_PER_SECOND
  return Math.min(MAX_FRAMES_PER_SECOND, Math.round(rate * 1000) / 1000)
}

export interface AudioPlan extends Labels {
  /** Of the input's streams. */
  readonly stream: number
  /** 1 or 2. */
  readonly channels: number
}

/** The default track first. Adds to `notes` what is left out. */
function planAudio(streams: readonly StreamFacts[], notes: string[]): AudioPlan[] {
  const audible = streams.filter(each => each.codec_type === 'audio' && (each.channels ?? 0) > 0)
  const tracks = audible.slice(0, MAX_AUDIO_TRACKS)
  if (tracks.length < audible.length) notes.push(`Only the first ${MAX_AUDIO_TRACKS} audio tracks are included.`)
  const first = tracks.find(each => each.disposition?.default === true) ?? tracks[0]
  const ordered = first ? [first, ...tracks.filter(each => each !== first)] : []
  return ordered.map(each => ({
    stream: each.index,
    channels: Math.min(2, each.channels ?? 2),
    ...labelsOf(each),
    isDefault: each === first,
  }))
}

export interface SubtitlePlan extends Labels {
  /** Of the input's streams. */
  readonly stream: number
  readonly isForced: boolean
}

/** What ffmpeg converts to WebVTT; other formats are images. */
const TEXT = ['subrip', 'srt', 'ass', 'ssa', 'webvtt', 'mov_text', 'text', 'microdvd', 'sami', 'subviewer']

/** Adds to `notes` what is left out. */
function planSubtitles(streams: readonly StreamFacts[], notes: string[]): SubtitlePlan[] {
  const all = streams.filter(each => each.codec_type === 'subtitle')
  const readable = all.filter(each => TEXT.includes(each.codec_name ?? ''))
  if (readable.length < all.length) notes.push('Subtitles that are images, not text, are left out.')
  if (readable.length > MAX_SUBTITLES) notes.push(`Only the first ${MAX_SUBTITLES} subtitles are included.`)
  return readable
    .slice(0, MAX_SUBTITLES)
    .map(each => ({ stream: each.index, ...labelsOf(each), isForced: each.disposition?.forced === true }))
}

/** What people choose a track by. */
interface Labels {
  /** BCP 47. */
  readonly language?: string
  readonly name?: string
  readonly isDefault: boolean
}

const MAX_CHARACTERS = 200

function labelsOf({ tags, disposition }: StreamFacts): Labels {
  const language = languageOf(tags?.language)
  const name = tags?.title?.trim().slice(0, MAX_CHARACTERS)
  return {
    ...(language !== undefined && { language }),
    ...(name !== undefined && name !== '' && { name }),
    isDefault: disposition?.default === true,
  }
}

/** Containers say `eng`, or `ger` for `deu`; BCP 47 wants the shortest. */
function languageOf(code: string | undefined): string | undefined {
  if (code === undefined || code === 'und' || code.length > 35) return undefined
  try {
    return Intl.getCanonicalLocales(BIBLIOGRAPHIC[code] ?? code)[0]
  } catch {
    return undefined
  }
}

/** ISO 639-2/B codes, which no other standard knows. */
const BIBLIOGRAPHIC: Readonly<Record<string, string>> = Object.fromEntries(
  [
    'alb sq arm hy baq eu bur my chi zh cze cs dut nl fre fr geo ka ger de',
    'gre el ice is mac mk mao mi may ms per fa rum ro slo sk tib bo wel cy',
  ].flatMap(line => Array.from(line.matchAll(/(\w+) (\w+)/g), ([, three = '', two = '']) => [three, two] as const)),
)

/** What ffmpeg makes of a film, planned from what ffprobe says of it. */
import { CannotPackage } from '../packager.ts'
import type { FilmFacts, StreamFacts } from './probe.ts'
import { ratio, shownSize, rungsFor, type Rung } from './rungs.ts'
import type { LadderLimits } from './ladder-limits.ts'
import { planAudio, planSubtitles, type AudioPlan, type SubtitlePlan } from './plan-tracks.ts'

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

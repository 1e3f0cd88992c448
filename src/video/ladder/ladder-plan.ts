/** What is made of a film: from the facts alone, without looking at it. */
import { CannotPackage } from '../packager.ts'
import type { FilmFacts, StreamFacts } from './probe.ts'
import { ratio, shownSize, rungsFor, type Rung } from './rungs.ts'
import type { LadderLimits } from './ladder-limits.ts'
import { planAudio, planSubtitles, type AudioPlan, type SubtitlePlan } from './plan-tracks.ts'

export type HdrWay = 'tone-map' | 'convert'

export interface VideoPlan {
  /** Of the input's streams. */
  readonly stream: number
  readonly rungs: readonly Rung[]
  /** At most. */
  readonly framesPerSecond: number
  readonly isInterlaced: boolean
  /** `null`: it is SDR already. */
  readonly hdr: HdrWay | null
}

export interface LadderPlan {
  /** The demuxer. */
  readonly format: string
  /** `null`: the file does not tell. */
  readonly seconds: number | null
  /** `null`: sound alone. */
  readonly video: VideoPlan | null
  readonly audio: readonly AudioPlan[]
  readonly subtitles: readonly SubtitlePlan[]
  readonly notes: readonly string[]
}

export interface PlanOptions {
  readonly limits: LadderLimits
  readonly canToneMap: boolean
}

/** Faster pictures are thinned out to it; slower and irregular ones keep their times. */
export const MAX_FRAMES_PER_SECOND = 60
const USUAL_FRAMES_PER_SECOND = 30

/** @throws CannotPackage when there is nothing to show or to hear, or more of it than the limits allow */
export function planLadder(facts: FilmFacts, options: PlanOptions): LadderPlan {
  const notes: string[] = []
  const { format, seconds } = planOf(facts, options.limits)
  const video = planVideo(facts.streams, options, notes)
  const audio = planAudio(facts.streams, notes)
  if (!video && audio.length === 0) throw new CannotPackage('There is nothing to show or to hear in the file')
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
  const told = format.duration ?? Math.max(0, ...streams.map(({ duration = 0 }) => duration))
  if (told > most) throw new CannotPackage(`The film says that it lasts longer than ${Math.floor(most / 3600)} h`)
  return told > 0 ? told : null
}

function planVideo(
  streams: readonly StreamFacts[],
  { limits, canToneMap }: PlanOptions,
  notes: string[],
): VideoPlan | null {
  // Covers of albums are streams of pictures too.
  const films = streams.filter(each => each.codec_type === 'video' && each.disposition?.attached_pic !== true)
  const film = films.find(each => each.disposition?.default === true) ?? films[0]
  if (!film) return null
  const shown = shownSize(film)
  if (!shown) throw new CannotPackage('The film does not tell the size of its pictures')
  if ((film.width ?? 0) * (film.height ?? 0) > limits.pixels) throw new CannotPackage('The pictures are too large')
  if (films.length > 1) notes.push('Only one of several picture tracks is shown.')
  const hdr = hdrWay(film, canToneMap)
  if (hdr === 'convert')
    notes.push('This ffmpeg has no tone mapping: colours of the HDR film are duller than they were.')
  const framesPerSecond = framesPerSecondOf(film)
  return {
    stream: film.index,
    rungs: rungsFor(shown, framesPerSecond),
    framesPerSecond,
    isInterlaced: ['tt', 'bb', 'tb', 'bt'].includes(film.field_order ?? ''),
    hdr,
  }
}

/** `null`: the pictures are SDR already. */
export function hdrWay(film: StreamFacts, canToneMap: boolean): HdrWay | null {
  if (!['smpte2084', 'arib-std-b67'].includes(film.color_transfer ?? '')) return null
  return canToneMap ? 'tone-map' : 'convert'
}

function framesPerSecondOf(film: StreamFacts): number {
  const told = ratio(film.avg_frame_rate) ?? ratio(film.r_frame_rate) ?? USUAL_FRAMES_PER_SECOND
  return Math.min(MAX_FRAMES_PER_SECOND, Math.round(told * 1000) / 1000)
}

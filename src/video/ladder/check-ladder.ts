/** Compares what ffmpeg made of a film with what the file says that is in it. */
import { differenceOf } from '../checks/package-facts.ts'
import type { TrackFacts } from '../checks/package-facts.ts'
import type { FilmFacts, StreamFacts } from './probe.ts'
import { MAX_FRAMES_PER_SECOND } from './ladder-plan.ts'
import { ratio } from './rungs.ts'

/** What one track of the ladder should hold; `null`: the file does not say. */
export interface ExpectedLadderTrack {
  readonly kind: 'video' | 'audio'
  /** From the beginning of the film to its end. */
  readonly endSeconds: number | null
  /** It is shorter than what a decoder takes before it gives anything out. */
  readonly mayBeEmpty: boolean
  /** Video frames, which are thinned out where there are too many. */
  readonly frames: { readonly least: number; readonly most: number } | null
}

/** Demuxers whose files declare how long each track is. Of others, the duration is a guess from the bit rate or the last times. */
const DECLARING: ReadonlySet<string> = new Set(['mov', 'avi'])
/** Rates are rounded, and AVI files hold frames that stand for the one before. */
const FRAMES_SHARE = 0.1
const FRAMES_MORE = 2
const SHORTEST_AUDIO_SECONDS = 0.1
const LEAST_DIFFERENCE_SECONDS = 1
const DIFFERENCE_SHARE = 0.01

/**
 * @param streams in the order of the tracks of one file
 * @param shiftSeconds what is added to the times of the file, where the film does not begin with it
 */
export function expectedOf(facts: FilmFacts, streams: readonly number[], shiftSeconds?: number): ExpectedLadderTrack[] {
  const isDeclared = DECLARING.has(facts.format.format_name.split(',')[0] ?? '')
  const begin = Math.min(...facts.streams.map(({ start_time = 0 }) => start_time))
  return streams.flatMap(index => {
    const stream = facts.streams.find(each => each.index === index)
    if (!stream) return []
    const kind = stream.codec_type === 'video' ? 'video' : 'audio'
    const told = isDeclared ? (stream.duration ?? 0) : 0
    const end = (stream.start_time ?? 0) + told + (shiftSeconds ?? -begin)
    return {
      kind,
      endSeconds: told > 0 ? end : null,
      mayBeEmpty: kind === 'audio' && (told || (facts.format.duration ?? Infinity)) < SHORTEST_AUDIO_SECONDS,
      frames: kind === 'video' ? framesOf(stream, told) : null,
    }
  })
}

function framesOf({ avg_frame_rate }: StreamFacts, seconds: number): ExpectedLadderTrack['frames'] {
  const rate = ratio(avg_frame_rate)
  if (rate === null || seconds === 0) return null
  // Of frames that come faster, every other one is left out, or more.
  const [slow, fast] = rate > MAX_FRAMES_PER_SECOND ? [MAX_FRAMES_PER_SECOND / 2, MAX_FRAMES_PER_SECOND] : [rate, rate]
  return {
    least: Math.floor(slow * seconds * (1 - FRAMES_SHARE)) - FRAMES_MORE,
    most: Math.ceil(fast * seconds * (1 + FRAMES_SHARE)) + FRAMES_MORE,
  }
}

/** @returns why the ladder must not take the place of the film, for a person; `null`: it is all there */
export function ladderDifference(expected: readonly ExpectedLadderTrack[], made: readonly TrackFacts[]): string | null {
  const isThere = (_: unknown, index: number): boolean => !expected[index]?.mayBeEmpty || made[index]?.samples !== 0
  const tracks = expected.filter(isThere).map(({ kind }) => ({ kind, samples: null }))
  const difference = differenceOf({ tracks, seconds: null }, made.filter(isThere))
  if (difference !== null) return difference
  const wrong = expected.map((track, index) => trackDifference(track, made[index]))
  return wrong.find(each => each !== null) ?? null
}

function trackDifference(
  { kind, endSeconds, frames }: ExpectedLadderTrack,
  made: TrackFacts | undefined,
): string | null {
  if (!made) return null
  if (endSeconds !== null) {
    const allowed = Math.max(LEAST_DIFFERENCE_SECONDS, endSeconds * DIFFERENCE_SHARE)
    if (Math.abs(made.endSeconds - endSeconds) > allowed)
      return `Of ${endSeconds.toFixed(1)} s of its ${kind}, ${made.endSeconds.toFixed(1)} s would play`
  }
  if (frames && (made.samples < frames.least || made.samples > frames.most))
    return `Of about ${Math.round((frames.least + frames.most) / 2)} video frames, ${made.samples} would play`
  return null
}

/** Compares what ffmpeg made of a film with what its file declares. */
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
  /** It is shorter than what a decoder needs before its first output. */
  readonly mayBeEmpty: boolean
  /** Video frames, which are thinned out where there are too many. */
  readonly frames: { readonly least: number; readonly most: number } | null
}

/** Demuxers whose files declare the length of each track; others guess it from the bit rate or the last times. */
const DECLARING: ReadonlySet<string> = new Set(['mov', 'avi'])
/** Rates are rounded, and AVI files hold frames that repeat the one before. */
const FRAMES_SHARE = 0.1
const FRAMES_MORE = 2
const SHORTEST_AUDIO_SECONDS = 0.1
const LEAST_DIFFERENCE_SECONDS = 1
const DIFFERENCE_SHARE = 0.01

/**
 * @param streams in the order of the tracks of one file
 * @param shiftSeconds added to the times of the file; without it, the film begins at zero
 */
export function expectedOf(facts: FilmFacts, streams: readonly number[], shiftSeconds?: number): ExpectedLadderTrack[] {
  const isDeclared = DECLARING.has(facts.format.format_name.split(',')[0] ?? '')
  const begin = Math.min(...facts.streams.map(({ start_time = 0 }) => start_time))
  return streams.flatMap(index => {
    const stream = facts.streams.find(each => each.index === index)
    if (!stream) return []
    const kind = stream.codec_type === 'video' ? 'video' : 'audio'
    const declared = isDeclared ? (stream.duration ?? 0) : 0
    const end = (stream.start_time ?? 0) + declared + (shiftSeconds ?? -begin)
    return {
      kind,
      endSeconds: declared > 0 ? end : null,
      mayBeEmpty: kind === 'audio' && (declared || (facts.format.duration ?? Infinity)) < SHORTEST_AUDIO_SECONDS,
      frames: kind === 'video' ? framesOf(stream, declared) : null,
    }
  })
}

function framesOf({ avg_frame_rate }: StreamFacts, seconds: number): ExpectedLadderTrack['frames'] {
  const rate = ratio(avg_frame_rate)
  if (rate === null || seconds === 0) return null
  // Faster video loses every other frame, or more.
  const [slow, fast] = rate > MAX_FRAMES_PER_SECOND ? [MAX_FRAMES_PER_SECOND / 2, MAX_FRAMES_PER_SECOND] : [rate, rate]
  return {
    least: Math.floor(slow * seconds * (1 - FRAMES_SHARE)) - FRAMES_MORE,
    most: Math.ceil(fast * seconds * (1 + FRAMES_SHARE)) + FRAMES_MORE,
  }
}

/** @returns for people, why the ladder must not replace the film; `null`: it holds everything */
export function ladderDifference(
  expected: readonly ExpectedLadderTrack[],
  encoded: readonly TrackFacts[],
): string | null {
  const isThere = (_: unknown, index: number): boolean => !expected[index]?.mayBeEmpty || encoded[index]?.samples !== 0
  const tracks = expected.filter(isThere).map(({ kind }) => ({ kind, samples: null }))
  const difference = differenceOf({ tracks, seconds: null }, encoded.filter(isThere))
  if (difference !== null) return difference
  const wrong = expected.map((track, index) => trackDifference(track, encoded[index]))
  return wrong.find(each => each !== null) ?? null
}

function trackDifference(
  { kind, endSeconds, frames }: ExpectedLadderTrack,
  encoded: TrackFacts | undefined,
): string | null {
  if (!encoded) return null
  if (endSeconds !== null) {
    const allowed = Math.max(LEAST_DIFFERENCE_SECONDS, endSeconds * DIFFERENCE_SHARE)
    if (Math.abs(encoded.endSeconds - endSeconds) > allowed)
      return `Of ${endSeconds.toFixed(1)} s of its ${kind}, ${encoded.endSeconds.toFixed(1)} s would play`
  }
  if (frames && (encoded.samples < frames.least || encoded.samples > frames.most))
    return `Of about ${Math.round((frames.least + frames.most) / 2)} video frames, ${encoded.samples} would play`
  return null
}

/** What a packaged film holds, read from its movie fragments alone, and whether it is what its file declares. */
import { BrokenBoxes } from '../mp4/boxes.ts'
import { readFragment, type FragmentSample } from '../mp4/fragment.ts'
import { trackClocks, type TrackClocks } from '../mp4/movie.ts'

export interface TrackFacts {
  readonly kind: 'video' | 'audio'
  readonly samples: number
  /** Decode times grow from sample to sample, and no sample is shown before it is decoded. */
  readonly isOrdered: boolean
  /** When the first of its samples is shown, and when the last one ends. */
  readonly startSeconds: number
  readonly endSeconds: number
}

interface Counted {
  readonly kind: 'video' | 'audio'
  readonly ticksPerSecond: number
  samples: number
  isOrdered: boolean
  lastDecode: number
  start: number
  end: number
}

/** Counts the samples of fragments of any origin. */
export class PackageFacts {
  #clocks: TrackClocks = new Map()
  readonly #tracks = new Map<number, Counted>()

  /** In the order of the initialization segment. */
  get tracks(): TrackFacts[] {
    return Array.from(this.#tracks.values(), ({ ticksPerSecond, start, end, kind, samples, isOrdered }) => ({
      kind,
      samples,
      isOrdered,
      startSeconds: samples === 0 ? 0 : start / ticksPerSecond,
      endSeconds: samples === 0 ? 0 : end / ticksPerSecond,
    }))
  }

  /** @throws BrokenBoxes */
  readMoov(moov: DataView): void {
    this.#clocks = trackClocks(moov)
    for (const [id, { isVideo, ticksPerSecond }] of this.#clocks) {
      const times = { lastDecode: Number.NEGATIVE_INFINITY, start: Infinity, end: Number.NEGATIVE_INFINITY }
      this.#tracks.set(id, { kind: isVideo ? 'video' : 'audio', ticksPerSecond, samples: 0, isOrdered: true, ...times })
    }
  }

  /** @throws BrokenBoxes */
  readMoof(moof: DataView): void {
    for (const { trackId, decodeTime, samples } of readFragment(moof, this.#clocks)) {
      const track = this.#tracks.get(trackId)
      if (!track) throw new BrokenBoxes('A fragment is of an unknown track')
      count(track, decodeTime ?? 0, samples)
    }
  }
}

function count(track: Counted, decodeTime: number, samples: readonly FragmentSample[]): void {
  let decode = decodeTime
  for (const { duration, shownAfter } of samples) {
    track.samples++
    track.isOrdered &&= decode > track.lastDecode && shownAfter >= 0
    track.lastDecode = decode
    track.start = Math.min(track.start, decode + shownAfter)
    track.end = Math.max(track.end, decode + shownAfter + duration)
    decode += duration
  }
}

/** What a track of the package should hold according to the file. */
export interface ExpectedTrack {
  readonly kind: 'video' | 'audio'
  /** Samples that are shown; `null`: the file does not count them. */
  readonly samples: number | null
}

export interface ExpectedFilm {
  readonly tracks: readonly ExpectedTrack[]
  /** From the first sample to the end of the last one; `null`: the file does not say. */
  readonly seconds: number | null
}

/** Containers round times, and count from where their first track begins or from zero. */
const LEAST_DIFFERENCE_SECONDS = 1
const DIFFERENCE_SHARE = 0.01

/**
 * Compares a packaged film with what its file declares.
 * @param packaged of all files of the package, in the order of `expected.tracks`
 * @returns for people, why the film must not replace the file; `null`: it holds everything
 */
export function differenceOf(expected: ExpectedFilm, packaged: readonly TrackFacts[]): string | null {
  if (packaged.length !== expected.tracks.length)
    return `It has ${expected.tracks.length} tracks, not ${packaged.length}`
  for (const [index, track] of expected.tracks.entries()) {
    const difference = trackDifference(track, packaged[index])
    if (difference !== null) return difference
  }
  return durationDifference(expected.seconds, packaged)
}

function trackDifference({ kind, samples }: ExpectedTrack, found: TrackFacts | undefined): string | null {
  if (found?.kind !== kind) return `Its ${kind} is missing from what would play`
  const parts = kind === 'video' ? 'video frames' : 'audio frames'
  if (samples !== null && found.samples !== samples) return `Of its ${samples} ${parts}, ${found.samples} would play`
  if (found.samples === 0) return `None of its ${parts} would play`
  return found.isOrdered ? null : `Times of its ${parts} contradict each other`
}

function durationDifference(expected: number | null, packaged: readonly TrackFacts[]): string | null {
  if (expected === null) return null
  const start = Math.min(...packaged.map(({ startSeconds }) => startSeconds))
  const seconds = Math.max(...packaged.map(({ endSeconds }) => endSeconds)) - start
  const allowed = Math.max(LEAST_DIFFERENCE_SECONDS, expected * DIFFERENCE_SHARE)
  if (Math.abs(expected - seconds) <= allowed) return null
  return `Of its ${expected.toFixed(1)} s, ${seconds.toFixed(1)} s would play`
}

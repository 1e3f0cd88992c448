import type { TrackFacts } from './package-facts.ts'

/** What a track of the package should hold, by the file it was made of. */
export interface ExpectedTrack {
  readonly kind: 'video' | 'audio'
  /** Samples that are shown; `null`: the file does not count them. */
  readonly samples: number | null
}

export interface ExpectedFilm {
  readonly tracks: readonly ExpectedTrack[]
  /** How long it is from its first sample to the end of its last one; `null`: the file does not say. */
  readonly seconds: number | null
}

/** Containers round times, and count from where their first track begins or from zero. */
const LEAST_DIFFERENCE_SECONDS = 1
const DIFFERENCE_SHARE = 0.01

/**
 * Compares a packaged film with what its file declares.
 * @param packaged of all files of the package, in the order of `expected.tracks`
 * @returns why the film must not take the place of the file, for a person; `null`: it is all there
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

/** What an edit list lets a player show of a track. */
import type { DeclaredTrack, Edit } from '../checks/declared.ts'

/** On the demuxer's clock, which begins with the first edit. */
export interface ShownSpan {
  readonly start: number
  readonly end: number
  /** By how much times may be off. */
  readonly tolerance: number
  /** Whether all of its samples are in the index of the file. */
  readonly isIndexed: boolean
  /** Of the track, before the first edit. */
  readonly leftOutSeconds: number
}

export const ENTIRE_TRACK: ShownSpan = {
  start: Number.NEGATIVE_INFINITY,
  end: Infinity,
  tolerance: 0,
  isIndexed: false,
  leftOutSeconds: 0,
}

/** Rounded times of one edit and the next may miss each other by this much. */
const LEAST_GAP_SECONDS = 0.001
/** Of a tick of the track: a demuxer rounds the delay before the first edit to ticks. */
const MAX_ROUNDING_TICKS = 0.51
/** The end of an edit is rounded to the clock of the movie, which may tick as slowly as once a second. */
const MAX_ROUNDING_SECONDS = 0.0005

/** @returns what is shown, or why it cannot be copied: the end of a sentence */
export function shownSpan(track: DeclaredTrack | null): ShownSpan | string {
  if (!track || track.edits.length === 0) return ENTIRE_TRACK
  const { edits } = track
  const from = edits.findIndex(({ mediaSeconds }) => mediaSeconds !== null)
  const delay = seconds(edits.slice(0, Math.max(0, from)))
  // Silence behind the last edit needs no span.
  const shown = edits.slice(from, edits.findLastIndex(({ mediaSeconds }) => mediaSeconds !== null) + 1)
  const [first] = shown
  if (from === -1 || !first) return 'is never shown, by its edit list'
  if (shown.some(({ rate }) => rate !== 1)) return 'is not shown at its own speed, by its edit list'
  if (!isOnePiece(shown)) return 'is shown in several parts, by its edit list'
  const length = shown.some(edit => edit.seconds === 0) ? Infinity : seconds(shown)
  const rounding = Math.min(MAX_ROUNDING_SECONDS, track.editTickSeconds / 2)
  const tolerance = track.tickSeconds * MAX_ROUNDING_TICKS
  return {
    start: delay - tolerance,
    end: delay + length - rounding,
    tolerance,
    isIndexed: (track.samples ?? 0) > 0,
    leftOutSeconds: first.mediaSeconds ?? 0,
  }
}

const seconds = (edits: readonly Edit[]): number => edits.reduce((sum, edit) => sum + edit.seconds, 0)

/** Whether each edit goes on where the one before it ends. */
function isOnePiece(edits: readonly Edit[]): boolean {
  return edits.every((edit, index) => {
    const before = edits[index - 1]
    if (!before) return true
    if (before.mediaSeconds === null || edit.mediaSeconds === null) return false
    return Math.abs(before.mediaSeconds + before.seconds - edit.mediaSeconds) <= LEAST_GAP_SECONDS
  })
}

/** Whether a packet that begins at `timestamp` is shown. */
export function isInside(timestamp: number, { start, end }: ShownSpan): boolean {
  return timestamp >= start && timestamp < end
}

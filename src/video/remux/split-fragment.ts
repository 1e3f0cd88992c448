/**
 * Splits a movie fragment into several of a part of its time each. A player shows nothing of a fragment before its last
 * byte has come, so the first frame waits for a small fragment instead of for a segment.
 */
import { BrokenBoxes } from '../mp4/boxes.ts'
import { readFragment, writeFragment, type FragmentTrack, type WrittenTrack } from '../mp4/fragment.ts'

export interface SplitOptions {
  /** How many there are to be; fewer when there are fewer samples. */
  readonly parts: number
  /** Gives a track its times. */
  readonly retime: (track: FragmentTrack) => FragmentTrack
  readonly nextSequence: () => number
}

/**
 * @param moof content of the box
 * @param samples of the fragment: those of the first track, then those of the next
 */
export function splitFragment(
  moof: DataView,
  samples: readonly Uint8Array[],
  { parts, retime, nextSequence }: SplitOptions,
): { readonly moof: Uint8Array<ArrayBuffer>; readonly samples: readonly Uint8Array[] }[] {
  let first = 0
  const timed = readFragment(moof).map(written => {
    const track = retime(withTime(written))
    const data = samples.slice(first, (first += track.samples.length))
    return { track, data, borders: bordersOf(track, parts) }
  })
  return Array.from({ length: parts }, (_, part) => {
    const within = timed.map(({ track, data, borders }) => {
      const [from = 0, to = 0] = borders.slice(part, part + 2)
      return { track: partOf(track, from, to), data: data.slice(from, to) }
    })
    return within.filter(({ data }) => data.length > 0)
  })
    .filter(within => within.length > 0)
    .map(within => ({
      moof: writeFragment(
        nextSequence(),
        within.map(({ track }) => track),
      ),
      samples: within.flatMap(({ data }) => data),
    }))
}

function withTime({ trackId, decodeTime, samples }: WrittenTrack): FragmentTrack {
  if (decodeTime === null) throw new BrokenBoxes('A fragment has no decode time')
  return { trackId, decodeTime, samples }
}

/** The samples of a fragment, which lie in its media data one behind the other. */
export function samplesOf(moof: DataView, mediaData: Uint8Array): Uint8Array[] {
  let at = 0
  return readFragment(moof).flatMap(({ samples }) => samples.map(({ size }) => mediaData.subarray(at, (at += size))))
}

/** Where each part begins, and the last one ends: indexes of samples. */
function bordersOf({ samples }: FragmentTrack, parts: number): number[] {
  const total = samples.reduce((sum, { duration }) => sum + duration, 0)
  const borders = [0]
  let elapsed = 0
  for (const [index, { duration }] of samples.entries()) {
    while (borders.length < parts && elapsed >= (total * borders.length) / parts) borders.push(index)
    elapsed += duration
  }
  while (borders.length <= parts) borders.push(samples.length)
  return borders
}

function partOf(track: FragmentTrack, from: number, to: number): FragmentTrack {
  const before = track.samples.slice(0, from).reduce((sum, { duration }) => sum + duration, 0)
  return { ...track, decodeTime: track.decodeTime + before, samples: track.samples.slice(from, to) }
}

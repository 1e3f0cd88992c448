/**
 * Splits a movie fragment into several of a part of its time each. A player shows nothing of a fragment that is not
 * there to its last byte, so the first picture waits for a small one instead of for a whole segment.
 */
import { boxBytes, inside, viewOf } from './boxes.ts'
import { readTrack, words, writeTrack } from '../mp4/fragment.ts'
import type { FragmentTrack } from '../mp4/fragment.ts'

const HEADER_BYTES = 8

/**
 * @param moof of the whole fragment
 * @param samples the media data of it: each sample of the first track, then those of the next
 * @param how `parts`: how many there are to be, fewer when there are fewer samples; `retime`: gives a track its times
 * @returns the boxes of all of them, the media data in pieces; sequence numbers are all 0
 */
export function splitFragment(
  moof: Uint8Array<ArrayBuffer>,
  samples: readonly Uint8Array[],
  { parts, retime }: { readonly parts: number; readonly retime: (track: FragmentTrack) => FragmentTrack },
): { readonly moof: Uint8Array<ArrayBuffer>; readonly samples: readonly Uint8Array[] }[] {
  const tracks = inside(moof, 'traf').map(({ bytes }) => retime(readTrack(bytes)))
  let first = 0
  const timed = tracks.map(track => {
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
    .map(within => ({ moof: moofOf(within), samples: within.flatMap(({ data }) => data) }))
}

/** The samples of a fragment, which lie in its media data one behind the other. */
export function samplesOf(
  moof: Uint8Array<ArrayBuffer>,
  mediaData: Uint8Array = new Uint8Array(HEADER_BYTES),
): Uint8Array[] {
  let at = HEADER_BYTES
  return inside(moof, 'traf').flatMap(({ bytes }) =>
    readTrack(bytes).samples.map(({ size }) => mediaData.subarray(at, (at += size))),
  )
}

/** Where each part begins, and the last one ends: places among the samples. */
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
  return { ...track, decodeTime: track.decodeTime + BigInt(before), samples: track.samples.slice(from, to) }
}

function moofOf(within: readonly { readonly track: FragmentTrack; readonly data: readonly Uint8Array[] }[]) {
  const written = within.map(({ track }) => writeTrack(track))
  const header = boxBytes('mfhd', words([0, 0]))
  const moof = boxBytes('moof', header, ...written.map(({ bytes }) => bytes))
  const view = viewOf(moof)
  let dataAt = moof.byteLength + HEADER_BYTES
  let trackAt = HEADER_BYTES + header.byteLength
  for (const [index, { bytes, dataOffsetAt }] of written.entries()) {
    view.setInt32(trackAt + dataOffsetAt, dataAt)
    trackAt += bytes.byteLength
    dataAt += within[index]?.data.reduce((sum, sample) => sum + sample.byteLength, 0) ?? 0
  }
  return moof
}

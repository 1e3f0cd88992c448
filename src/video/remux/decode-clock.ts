import { trackClocks } from '../fragment-time.ts'
import { CannotPackage } from '../packager.ts'
import { viewOf } from './boxes.ts'
import type { FragmentSample, FragmentTrack } from './track-run.ts'

const BOX_HEADER_BYTES = 8

interface VideoClock {
  /** Ticks that a frame is decoded before its turn to be shown comes. */
  readonly delay: number
  /** When the last frame so far is decoded. */
  last: number
}

/**
 * Gives frames their decode times. A muxer that gets one segment at a time can only judge each by itself: it writes
 * times with negative offsets, which FFmpeg's players turn into pictures that lag behind the sound, and times that go
 * back where a segment needs more delay than the one before it.
 *
 * Here the delay is the same for the whole film: the n-th frame is decoded a fixed time before the n-th of all frames
 * in the order of showing is shown. Where that would be after it is shown itself, it and those before it are decoded
 * earlier, closer together.
 */
export class DecodeClock {
  readonly #leadSeconds: number
  readonly #videos = new Map<number, VideoClock>()

  constructor(leadSeconds: number) {
    this.#leadSeconds = leadSeconds
  }

  readMoov(moov: Uint8Array<ArrayBuffer>): void {
    for (const [id, { isVideo, ticksPerSecond }] of trackClocks(viewOf(moov.subarray(BOX_HEADER_BYTES)))) {
      if (isVideo) this.#videos.set(id, { delay: Math.round(this.#leadSeconds * ticksPerSecond), last: -1 })
    }
  }

  /** @param track of a segment, which begins where the last one ended */
  readonly retime = (track: FragmentTrack): FragmentTrack => {
    const clock = this.#videos.get(track.trackId)
    return clock && track.samples.length > 0 ? retimed(track, clock) : track
  }
}

function retimed({ trackId, decodeTime, samples }: FragmentTrack, clock: VideoClock): FragmentTrack {
  const shown = shownTimes(Number(decodeTime), samples)
  const decoded = shown.toSorted((a, b) => a - b).map(time => time - clock.delay)
  let next = Infinity
  for (let index = decoded.length - 1; index >= 0; index--) {
    next = Math.min(decoded[index] ?? 0, shown[index] ?? 0, next - 1)
    decoded[index] = next
  }
  for (const [index, time] of decoded.entries()) {
    const earliest = clock.last + 1
    if (earliest > (shown[index] ?? 0)) throw new CannotPackage('Its frames are out of order')
    clock.last = Math.max(time, earliest)
    decoded[index] = clock.last
  }
  const last = samples.at(-1)?.duration ?? 0
  return {
    trackId,
    decodeTime: BigInt(decoded[0] ?? 0),
    samples: samples.map((sample, index) => ({
      ...sample,
      duration: (decoded[index + 1] ?? (decoded[index] ?? 0) + last) - (decoded[index] ?? 0),
      shownAfter: (shown[index] ?? 0) - (decoded[index] ?? 0),
    })),
  }
}

function shownTimes(begin: number, samples: readonly FragmentSample[]): number[] {
  let decode = begin
  return samples.map(({ duration, shownAfter }) => {
    const time = decode + shownAfter
    decode += duration
    return time
  })
}

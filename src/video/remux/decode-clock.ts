import type { FragmentSample, FragmentTrack } from '../mp4/fragment.ts'
import { trackClocks } from '../mp4/movie.ts'
import { CannotPackage } from '../packager.ts'

/** Audio whose times repeat, or go back by a little, is moved by no more than this. */
const MAX_AUDIO_SHIFT_SECONDS = 0.1

interface RunningClock {
  readonly isVideo: boolean
  readonly ticksPerSecond: number
  /** Ticks by which a frame is decoded ahead of its turn to be shown. */
  readonly delay: number
  /** When the last frame so far is decoded. */
  last: number
}

/**
 * Gives frames their decode times. A muxer that gets one segment at a time judges each by itself: it writes negative
 * offsets, which make video lag behind audio in FFmpeg's players, and times that go back where a segment needs more
 * delay than the one before it.
 *
 * Here the delay is the same for the entire film: the n-th frame is decoded a fixed time before the n-th of all frames
 * in the order of showing is shown. Where that would be after it is shown itself, it and those before it are decoded
 * earlier, closer together.
 */
export class DecodeClock {
  readonly #leadSeconds: number
  readonly #clocks = new Map<number, RunningClock>()

  constructor(leadSeconds: number) {
    this.#leadSeconds = leadSeconds
  }

  readMoov(moov: DataView): void {
    for (const [id, { isVideo, ticksPerSecond }] of trackClocks(moov)) {
      const delay = Math.round(this.#leadSeconds * ticksPerSecond)
      this.#clocks.set(id, { isVideo, ticksPerSecond, delay, last: -1 })
    }
  }

  /** @param track of a segment, which begins where the last one ended */
  readonly retime = (track: FragmentTrack): FragmentTrack => {
    const clock = this.#clocks.get(track.trackId)
    if (!clock || track.samples.length === 0) return track
    return clock.isVideo ? retimed(track, clock) : straightened(track, clock)
  }
}

function retimed({ trackId, decodeTime, samples }: FragmentTrack, clock: RunningClock): FragmentTrack {
  const shown = shownTimes(decodeTime, samples)
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
  return timed({ trackId, samples }, decoded, shown)
}

/** Audio is decoded in the order of its times; where a file repeats one, the next frame comes a tick later. */
function straightened(track: FragmentTrack, clock: RunningClock): FragmentTrack {
  const shown = shownTimes(track.decodeTime, track.samples)
  const moved = shown.map(time => (clock.last = Math.max(time, clock.last + 1)))
  const shift = Math.max(...moved.map((time, index) => time - (shown[index] ?? 0)))
  if (shift > MAX_AUDIO_SHIFT_SECONDS * clock.ticksPerSecond)
    throw new CannotPackage('Its audio frames are out of order')
  return shift === 0 ? track : timed(track, moved, moved)
}

function timed(
  { trackId, samples }: Pick<FragmentTrack, 'trackId' | 'samples'>,
  decoded: readonly number[],
  shown: readonly number[],
): FragmentTrack {
  const last = samples.at(-1)?.duration ?? 0
  return {
    trackId,
    decodeTime: decoded[0] ?? 0,
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

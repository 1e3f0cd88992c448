/** The rungs of a ladder: sizes of frames as shown, bit rates and levels. */
import type { StreamFacts } from './probe.ts'

export interface Size {
  readonly width: number
  readonly height: number
}

/** `a/b` or `a:b`; `null` for anything else. */
export function ratio(text: string | undefined): number | null {
  const [over, under] = (text ?? '').split(/[/:]/).map(Number)
  if (over === undefined || under === undefined || !(over > 0) || !(under > 0)) return null
  return over / under
}

/** A wider sample is a mistake in the file, or hostile. */
const WIDEST_SAMPLE = 10

/** Pixels, not rounded; `null` without a size. */
export function shownSize(stream: StreamFacts): Size | null {
  const { width = 0, height = 0 } = stream
  if (width < 1 || height < 1) return null
  const aspect = ratio(stream.sample_aspect_ratio) ?? 1
  const sample = aspect > WIDEST_SAMPLE || aspect < 1 / WIDEST_SAMPLE ? 1 : aspect
  const size = { width: width * sample, height }
  return isOnItsSide(stream) ? { width: size.height, height: size.width } : size
}

function isOnItsSide(stream: StreamFacts): boolean {
  const rotation = stream.side_data_list?.find(each => each.rotation !== undefined)?.rotation ?? 0
  return Math.abs(Math.round(rotation / 90)) % 2 === 1
}

/** Scaled down, never up, to fit into a box of the same orientation; even, as yuv420p requires. */
export function fitInto(size: Size, long: number, short: number): Size {
  const [ownLong, ownShort] = [Math.max(size.width, size.height), Math.min(size.width, size.height)]
  const scale = Math.min(1, long / ownLong, short / ownShort)
  return { width: even(size.width * scale), height: even(size.height * scale) }
}

const even = (pixels: number): number => Math.max(2, 2 * Math.round(pixels / 2))

export interface Rung extends Size {
  /** Bits per second, for `-maxrate`. */
  readonly maxRate: number
  /** Of H.264, ten times: 40 is 4.0. */
  readonly level: number
}

/** Boxes that rungs fit into, in either orientation, and the rate for video that fills them at 30 frames per second. */
const BOXES = [
  { long: 1920, short: 1080, maxRate: 6_000_000 },
  { long: 1280, short: 720, maxRate: 3_200_000 },
  { long: 854, short: 480, maxRate: 1_400_000 },
  { long: 426, short: 240, maxRate: 450_000 },
] as const

/** A rung with a larger share of the pixels of the rung above it is left out. */
const MAX_SHARE_OF_ABOVE = 0.7
const MIN_RATE = 200_000

/** Best first; at least one. `framesPerSecond` after what the filters drop. */
export function rungsFor(shown: Size, framesPerSecond: number): Rung[] {
  const rungs: Rung[] = []
  for (const { long, short, maxRate } of BOXES) {
    const size = fitInto(shown, long, short)
    const above = rungs.at(-1)
    if (above && pixelsOf(size) > MAX_SHARE_OF_ABOVE * pixelsOf(above)) continue
    // Fewer pixels than the box holds need fewer bits, but not in proportion.
    const share = (pixelsOf(size) / (long * short)) ** 0.75
    const rate = Math.round(maxRate * Math.min(1, share) * (framesPerSecond > 40 ? 1.4 : 1))
    rungs.push({ ...size, maxRate: Math.max(MIN_RATE, rate), level: levelFor(size, framesPerSecond, rate) })
  }
  return rungs
}

const pixelsOf = ({ width, height }: Size): number => width * height

/** ITU-T H.264, table A-1: level, macroblocks per second, per picture, bits per second in High. */
const LEVELS = [
  [21, 19_800, 792, 5_000_000],
  [30, 40_500, 1620, 12_500_000],
  [31, 108_000, 3600, 17_500_000],
  [32, 216_000, 5120, 25_000_000],
  [40, 245_760, 8192, 25_000_000],
  [42, 522_240, 8704, 62_500_000],
] as const
const HIGHEST_LEVEL = 51

function levelFor(size: Size, framesPerSecond: number, rate: number): number {
  const blocks = Math.ceil(size.width / 16) * Math.ceil(size.height / 16)
  const enough = LEVELS.find(
    ([, perSecond, perPicture, bits]) => blocks <= perPicture && blocks * framesPerSecond <= perSecond && rate <= bits,
  )
  return enough?.[0] ?? HIGHEST_LEVEL
}

/** RFC 6381, of High: see {@link Rung.level}. */
export const codecOf = ({ level }: Rung): string => `avc1.6400${level.toString(16).padStart(2, '0')}`

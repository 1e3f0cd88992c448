/** The rungs of a ladder: sizes, rates and levels. */
import { fitInto, type Size } from './geometry.ts'

export interface Rung extends Size {
  /** Bits per second that no longer stretch of it exceeds. */
  readonly maxRate: number
  /** Of H.264, ten times: 40 is 4.0. */
  readonly level: number
}

/** Boxes that rungs fit into, lying or standing, and the rate for pictures that fill them at 30 per second. */
const BOXES = [
  { long: 1920, short: 1080, maxRate: 6_000_000 },
  { long: 1280, short: 720, maxRate: 3_200_000 },
  { long: 854, short: 480, maxRate: 1_400_000 },
  { long: 426, short: 240, maxRate: 450_000 },
] as const

/** A rung with nearly as many pixels as the one above it helps nobody. */
const WORTHWHILE = 0.7
const MIN_RATE = 200_000

/** Best first; at least one. `framesPerSecond` after what the filters drop. */
export function rungsFor(shown: Size, framesPerSecond: number): Rung[] {
  const rungs: Rung[] = []
  for (const { long, short, maxRate } of BOXES) {
    const size = fitInto(shown, long, short)
    const above = rungs.at(-1)
    if (above && pixelsOf(size) > WORTHWHILE * pixelsOf(above)) continue
    // Fewer pixels than the box has room for need fewer bits, though not as many fewer.
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

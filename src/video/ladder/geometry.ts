/** Sizes of pictures, as shown: sample aspect ratio and rotation applied. */
import type { StreamFacts } from './facts.ts'

export interface Size {
  readonly width: number
  readonly height: number
}

/** `a/b` or `a:b`; `null` when it says nothing. */
export function ratio(text: string | undefined): number | null {
  const [over, under] = (text ?? '').split(/[/:]/).map(Number)
  if (over === undefined || under === undefined || !(over > 0) || !(under > 0)) return null
  return over / under
}

/** Beyond these, it is a mistake in the file, or a trap. */
const WIDEST_SAMPLE = 10

/** Pixels, not rounded; `null` without a size. */
export function shownSize(stream: StreamFacts): Size | null {
  const { width = 0, height = 0 } = stream
  if (width < 1 || height < 1) return null
  const told = ratio(stream.sample_aspect_ratio) ?? 1
  const sample = told > WIDEST_SAMPLE || told < 1 / WIDEST_SAMPLE ? 1 : told
  const size = { width: width * sample, height }
  return isOnItsSide(stream) ? { width: size.height, height: size.width } : size
}

function isOnItsSide(stream: StreamFacts): boolean {
  const rotation = stream.side_data_list?.find(each => each.rotation !== undefined)?.rotation ?? 0
  return Math.abs(Math.round(rotation / 90)) % 2 === 1
}

/** Scaled down, never up, so that it fits into a box that lies like it; even, as yuv420p needs it. */
export function fitInto(size: Size, long: number, short: number): Size {
  const [ownLong, ownShort] = [Math.max(size.width, size.height), Math.min(size.width, size.height)]
  const scale = Math.min(1, long / ownLong, short / ownShort)
  return { width: even(size.width * scale), height: even(size.height * scale) }
}

const even = (pixels: number): number => Math.max(2, 2 * Math.round(pixels / 2))

/** What a handful of repeated measurements say: the middle one, and how far the others lie from it. */
export interface Spread {
  readonly median: number
  readonly low: number
  readonly high: number
}

/** Median with the lowest and highest value. Throws a `RangeError` when there are no values. */
export function spreadOf(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b)
  const low = sorted[0]
  const high = sorted.at(-1)
  const upper = sorted[Math.floor(sorted.length / 2)]
  const lower = sorted[Math.floor((sorted.length - 1) / 2)]
  if (low === undefined || high === undefined || upper === undefined || lower === undefined) {
    throw new RangeError('A spread needs at least one value.')
  }
  return { median: (upper + lower) / 2, low, high }
}

/**
 * Ratios `ours / theirs`, round by round: both sides of one ratio ran within seconds of each other, so whatever else
 * the machine was doing at that time weighs on both.
 */
export function pairedRatios(ours: readonly number[], theirs: readonly number[]): number[] {
  return ours.flatMap((value, round) => {
    const other = theirs[round]
    return other === undefined ? [] : [value / other]
  })
}

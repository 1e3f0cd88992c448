/**
 * The arithmetic of rates: the generic cell rate algorithm, a token bucket that needs one number. `fullAt` is the time
 * (monotonic ms) at which the bucket is full again; in the past: it is full now.
 */
import type { Rate } from '../limiter.ts'

export interface Taken {
  readonly ok: boolean
  readonly fullAt: number
  /** When refused: until the cost would be there. When charged: how long to pause. */
  readonly waitMs: number
}

/** Takes `cost` if it is there. A cost above the burst counts as the burst, so that it is possible at all. */
export function gcraTake(fullAt: number, now: number, cost: number, rate: Rate): Taken {
  const owed = charge(fullAt, now, Math.min(cost, rate.burst), rate)
  return owed.waitMs > TOLERANCE_MS ? { ok: false, fullAt, waitMs: owed.waitMs } : { ...owed, ok: true }
}

/** Takes `cost` in any case; `waitMs` pays back what was not there. */
export function gcraCharge(fullAt: number, now: number, cost: number, rate: Rate): Taken {
  return charge(fullAt, now, cost, rate)
}

/** Rounding of a long sum of fractions must not refuse what is there. */
const TOLERANCE_MS = 1e-6

function charge(fullAt: number, now: number, cost: number, { perSecond, burst }: Rate): Taken {
  const msPerUnit = 1000 / perSecond
  const next = Math.max(fullAt, now) + cost * msPerUnit
  return { ok: true, fullAt: next, waitMs: Math.max(0, next - now - burst * msPerUnit) }
}

/**
 * The order in which items are transferred. Tiny items wait for responses and use little bandwidth; big items use the
 * bandwidth meanwhile. Each size has a lane, so that none waits behind another, and the slots of a finished lane go to
 * the others. Large items are transferred in parts, in their own lane.
 */
import pLimit from 'p-limit'
import type { LimitFunction } from 'p-limit'

const TINY_BYTES = 128 * 1024
const MIDDLING_BYTES = 1024 * 1024

export type Lane = SmallLane | 'large'
type SmallLane = keyof typeof SHARES

/** How the slots for items of one request are divided while every lane has items. */
const SHARES = { tiny: 2, middling: 1, big: 1 }
const SMALL_LANES = ['tiny', 'middling', 'big'] as const

export interface LaneOptions {
  /** Items of one request at once, in all lanes together. */
  readonly small: number
  readonly large: number
}

/** Runs jobs in their lanes, each lane in the order its jobs are given. */
export class ItemLanes {
  readonly #small: number
  readonly #large: LimitFunction
  readonly #limits: Readonly<Record<SmallLane, LimitFunction>>
  readonly #waiting: Record<SmallLane, number> = { tiny: 0, middling: 0, big: 0 }

  constructor({ small, large }: LaneOptions) {
    this.#small = small
    this.#large = pLimit(large)
    this.#limits = { tiny: pLimit(small), middling: pLimit(small), big: pLimit(small) }
  }

  /** Announces jobs, so that every lane has its slots when the first job runs. */
  announce(lanes: Iterable<Lane>): void {
    for (const lane of lanes) if (lane !== 'large') this.#waiting[lane] += 1
    this.#divide()
  }

  /** Runs an announced job. Resolves or rejects as it does. */
  async run<T>(lane: Lane, job: () => Promise<T>): Promise<T> {
    if (lane === 'large') return this.#large(job)
    try {
      return await this.#limits[lane](job)
    } finally {
      this.#waiting[lane] -= 1
      if (this.#waiting[lane] === 0) this.#divide()
    }
  }

  #divide(): void {
    const busy = SMALL_LANES.filter(lane => this.#waiting[lane] > 0)
    const shares = busy.reduce((sum, lane) => sum + SHARES[lane], 0)
    for (const lane of busy) {
      this.#limits[lane].concurrency = Math.max(1, Math.floor((this.#small * SHARES[lane]) / shares))
    }
  }
}

/** @param bytes `null` while unknown; @param largeFromBytes the first size that does not fit into one request */
export function laneOf(bytes: number | null, largeFromBytes: number): Lane {
  if (bytes === null || bytes >= largeFromBytes) return 'large'
  if (bytes <= TINY_BYTES) return 'tiny'
  return bytes <= MIDDLING_BYTES ? 'middling' : 'big'
}

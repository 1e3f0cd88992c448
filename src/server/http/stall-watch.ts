/** Something that must make progress. */
export interface Watched {
  /** True when it is idle or too slow at `nowMs` (of `performance.now()`). */
  overdue(nowMs: number): boolean
  /** Called once, when it is overdue. */
  stall(): void
}

const CHECK_EVERY_MS = 100

/** One timer for all transfers, instead of one each. */
export class StallWatch implements Disposable {
  readonly #watched = new Set<Watched>()
  readonly #timer: NodeJS.Timeout

  constructor() {
    this.#timer = setInterval(() => this.#check(), CHECK_EVERY_MS)
    this.#timer.unref()
  }

  add(watched: Watched): void {
    this.#watched.add(watched)
  }

  delete(watched: Watched): void {
    this.#watched.delete(watched)
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
    this.#watched.clear()
  }

  #check(): void {
    if (this.#watched.size === 0) return
    const now = performance.now()
    for (const watched of this.#watched) {
      if (!watched.overdue(now)) continue
      this.#watched.delete(watched)
      watched.stall()
    }
  }
}

/** How slow a transfer may be. */
export interface Pace {
  /** Longest time without a byte. */
  readonly idleMs: number
  /** Slowest average, measured over at least `idleMs`; 0: any. */
  readonly minimumBytesPerSecond: number
}

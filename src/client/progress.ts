import type { MonotonicClock } from './concurrency/monotonic-clock.ts'

const REPORT_EVERY_MS = 100
/** The rate is the mean over this long. */
const RATE_WINDOW_MS = 5000

interface Tally {
  readonly index: number
  readonly name: string
  totalBytes: number | null
  bytes: number
  done: boolean
}

/** Adds up what moves and reports it, not too often. */
export class ProgressMeter {
  readonly #clock: Pick<MonotonicClock, 'now'>
  readonly #report: ((progress: Progress) => void) | undefined
  readonly #tallies = new Map<number, Tally>()
  readonly #active = new Set<Tally>()
  readonly #samples: { readonly at: number; readonly moved: number }[] = []
  #moved = 0
  #bytes = 0
  #done = 0
  #reportedAt = Number.NEGATIVE_INFINITY

  constructor(clock: Pick<MonotonicClock, 'now'>, report: ((progress: Progress) => void) | undefined) {
    this.#clock = clock
    this.#report = report
    this.#samples.push({ at: clock.now(), moved: 0 })
  }

  /** Announces an item, before any is begun. `totalBytes` is `null` while it is unknown. */
  add(item: { readonly index: number; readonly name: string; readonly totalBytes: number | null }): void {
    this.#tallies.set(item.index, { ...item, bytes: 0, done: false })
  }

  begin(index: number): void {
    const tally = this.#tallies.get(index)
    if (tally) this.#active.add(tally)
  }

  /** It is not counted any more. */
  leaveOut(index: number): void {
    this.#tallies.delete(index)
  }

  /** `bytes` of an item moved; fewer than none when they must be moved again. */
  moved(index: number, bytes: number): void {
    this.#advance(index, bytes)
    this.#moved += bytes
    this.#maybeReport()
  }

  /** `bytes` of an item were there already: they count, but not as speed. */
  found(index: number, bytes: number): void {
    this.#advance(index, bytes)
    this.#maybeReport()
  }

  /** The item is whole. `totalBytes` is its true length. */
  finish(index: number, totalBytes: number): void {
    const tally = this.#tallies.get(index)
    if (!tally || tally.done) return
    this.#advance(index, totalBytes - tally.bytes)
    tally.totalBytes = totalBytes
    tally.done = true
    this.#done += 1
    this.#active.delete(tally)
    this.#maybeReport()
  }

  /** The item ended without being whole. */
  drop(index: number): void {
    const tally = this.#tallies.get(index)
    if (tally) this.#active.delete(tally)
  }

  /** Reports now: the last word of a transfer. */
  flush(): void {
    this.#reportedAt = this.#clock.now()
    this.#report?.(this.#snapshot())
  }

  #advance(index: number, bytes: number): void {
    const tally = this.#tallies.get(index)
    if (!tally) return
    // Padding moves too, but it is no byte of the item.
    const next = Math.max(0, Math.min(tally.bytes + bytes, tally.totalBytes ?? Number.MAX_SAFE_INTEGER))
    this.#bytes += next - tally.bytes
    tally.bytes = next
  }

  #maybeReport(): void {
    if (this.#report && this.#clock.now() - this.#reportedAt >= REPORT_EVERY_MS) this.flush()
  }

  #snapshot(): Progress {
    const totalBytes = this.#total()
    const bytesPerSecond = this.#rate()
    const left = totalBytes === null ? null : totalBytes - this.#bytes
    return {
      bytes: this.#bytes,
      totalBytes,
      itemsDone: this.#done,
      items: this.#tallies.size,
      bytesPerSecond,
      secondsLeft: left === 0 ? 0 : left === null || bytesPerSecond <= 0 ? null : left / bytesPerSecond,
      active: Array.from(this.#active, ({ index, name, bytes, totalBytes }): ItemProgress => {
        return { index, name, bytes, totalBytes }
      }),
    }
  }

  #total(): number | null {
    let total = 0
    for (const tally of this.#tallies.values()) {
      if (tally.totalBytes === null) return null
      total += tally.totalBytes
    }
    return total
  }

  #rate(): number {
    const now = this.#clock.now()
    this.#samples.push({ at: now, moved: this.#moved })
    while (this.#samples.length > 2 && now - (this.#samples[1]?.at ?? now) >= RATE_WINDOW_MS) this.#samples.shift()
    const first = this.#samples[0]
    if (!first || now <= first.at) return 0
    return Math.max(0, ((this.#moved - first.moved) / (now - first.at)) * 1000)
  }
}

/**
 * How far a send or a receive has come. All bytes are plaintext bytes of whole or unfinished items, padding left out.
 */
export interface Progress {
  readonly bytes: number
  /** `null` while an item of unknown length is among them. */
  readonly totalBytes: number | null
  readonly itemsDone: number
  readonly items: number
  /** Mean of the last seconds; 0 before anything moved. */
  readonly bytesPerSecond: number
  /** `null` when it is not known. */
  readonly secondsLeft: number | null
  /** The items that are moving now, in the order they began. */
  readonly active: readonly ItemProgress[]
}

/** How far one item has come. */
export interface ItemProgress {
  /** Position in the list that was given (send) or in the manifest (receive). */
  readonly index: number
  readonly name: string
  readonly bytes: number
  readonly totalBytes: number | null
}

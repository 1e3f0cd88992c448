/** The arithmetic of slots: who holds one, who stands in line. No timers, no signals, no promises. */

/** One who waits. Compared by identity. */
export interface Waiter {
  /** The slot is theirs from now on. */
  grant(): void
}

/**
 * The slots of one client in one direction.
 * The cap is that of the latest request, so that a reload holds at once: a lowered cap takes nothing from those who
 * hold a slot, and grants none until enough have gone.
 */
export class SlotLine {
  #cap = 0
  #held = 0
  readonly #waiting = new Set<Waiter>()

  get held(): number {
    return this.#held
  }

  get waiting(): number {
    return this.#waiting.size
  }

  get idle(): boolean {
    return this.#held === 0 && this.#waiting.size === 0
  }

  /** Takes a slot if one is free and nobody stands in line for it. */
  tryTake(cap: number): boolean {
    this.#cap = cap
    this.#grantFree()
    if (this.#waiting.size > 0 || this.#held >= cap) return false
    this.#held += 1
    return true
  }

  /** Goes to the end of the line; false when `queue` others stand there already. */
  join(waiter: Waiter, queue: number): boolean {
    if (this.#waiting.size >= queue) return false
    this.#waiting.add(waiter)
    return true
  }

  leave(waiter: Waiter): void {
    this.#waiting.delete(waiter)
  }

  /** Frees a slot that was taken or granted; the first in line gets it. */
  release(): void {
    this.#held -= 1
    this.#grantFree()
  }

  #grantFree(): void {
    for (const waiter of this.#waiting) {
      if (this.#held >= this.#cap) return
      this.#waiting.delete(waiter)
      this.#held += 1
      waiter.grant()
    }
  }
}

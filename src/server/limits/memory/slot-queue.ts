/** The arithmetic of slots: how many are held, which requests wait. No timers, no signals, no promises. */

/** A queued request. Compared by identity. */
export interface Waiter {
  /** The waiter holds a slot from now on. */
  grant(): void
}

/**
 * The slots of one client in one direction.
 * The cap is that of the latest request, so that a reload applies at once: a lowered cap takes no slot away, and grants
 * none until enough are released.
 */
export class SlotQueue {
  #cap = 0
  #held = 0
  readonly #waiting = new Set<Waiter>()

  get held(): number {
    return this.#held
  }

  get waiting(): number {
    return this.#waiting.size
  }

  get isIdle(): boolean {
    return this.#held === 0 && this.#waiting.size === 0
  }

  /** Takes a slot if one is free and no request waits for it. */
  tryTake(cap: number): boolean {
    this.#cap = cap
    this.#grantFree()
    if (this.#waiting.size > 0 || this.#held >= cap) return false
    this.#held += 1
    return true
  }

  /** Joins the end of the queue; false when it holds `queue` requests already. */
  join(waiter: Waiter, queue: number): boolean {
    if (this.#waiting.size >= queue) return false
    this.#waiting.add(waiter)
    return true
  }

  leave(waiter: Waiter): void {
    this.#waiting.delete(waiter)
  }

  /** Releases a slot that was taken or granted; the first waiter gets it. */
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

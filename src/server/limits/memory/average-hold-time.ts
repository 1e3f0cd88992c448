/** How long slots are held lately, to guess when one will be free. */
export class HoldTime {
  #averageMs = 1000

  note(heldMs: number): void {
    this.#averageMs += (heldMs - this.#averageMs) / 8
  }

  /** Seconds until one who is refused now would get a slot, from 1 to 60: a guess. */
  retryAfterSeconds(ahead: number, cap: number): number {
    const seconds = (this.#averageMs * (ahead + 1)) / Math.max(1, cap) / 1000
    return Math.min(60, Math.max(1, Math.ceil(seconds)))
  }
}

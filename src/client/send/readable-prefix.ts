/** How many bytes from the first on have arrived without a gap, while parts arrive in any order. */
export class ReadablePrefix {
  readonly #arrived = new Map<number, number>()
  #next = 0
  #bytes = 0

  /** Part `index` has arrived; it holds `bytes`. Returns the bytes before the first gap. */
  arrived(index: number, bytes: number): number {
    this.#arrived.set(index, bytes)
    for (let held = this.#arrived.get(this.#next); held !== undefined; held = this.#arrived.get(this.#next)) {
      this.#arrived.delete(this.#next)
      this.#bytes += held
      this.#next += 1
    }
    return this.#bytes
  }
}

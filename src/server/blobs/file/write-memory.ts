/**
 * The memory of all parts on their way to the disk, together. While it is within its budget, small pieces are gathered
 * into large writes; beyond it each piece is written at once and waited for, so that hundreds of slow senders hold a
 * piece each and not a megabyte each.
 */
export class WriteMemory {
  readonly #budgetBytes: number
  #heldBytes = 0

  constructor(budgetBytes: number) {
    this.#budgetBytes = budgetBytes
  }

  get spent(): boolean {
    return this.#heldBytes > this.#budgetBytes
  }

  hold(bytes: number): void {
    this.#heldBytes += bytes
  }

  release(bytes: number): void {
    this.#heldBytes -= bytes
  }
}

const LARGE_BYTES = 256 * 1024
const SMALL_BYTES = 64 * 1024

/**
 * The memory that reads pass through. Large buffers are kept for reuse up to a budget; a read that finds the budget
 * spent gets a small one, so that hundreds of slow readers cost 64 KiB each and a few fast ones run at full speed.
 */
export class BufferPool {
  readonly #budgetBytes: number
  readonly #large: Uint8Array[] = []
  readonly #small: Uint8Array[] = []
  #largeBytes = 0

  constructor(budgetBytes: number) {
    this.#budgetBytes = budgetBytes
  }

  /** A buffer to hold up to `wantedBytes`; it may be smaller. Give it back with `release`, or drop it with `discard`. */
  take(wantedBytes: number): Uint8Array {
    if (wantedBytes <= SMALL_BYTES) return this.#takeSmall()
    return this.tryTake() ?? this.#takeSmall()
  }

  /** A large buffer, if the budget has one. */
  tryTake(): Uint8Array | null {
    const kept = this.#large.pop()
    if (kept) return kept
    if (this.#largeBytes + LARGE_BYTES > this.#budgetBytes) return null
    this.#largeBytes += LARGE_BYTES
    return Buffer.allocUnsafeSlow(LARGE_BYTES)
  }

  release(buffer: Uint8Array): void {
    if (buffer.length === LARGE_BYTES) this.#large.push(buffer)
    else if ((this.#small.length + 1) * SMALL_BYTES <= this.#budgetBytes) this.#small.push(buffer)
  }

  /** For a buffer that somebody may still be reading: it is never used again. */
  discard(buffer: Uint8Array): void {
    if (buffer.length === LARGE_BYTES) this.#largeBytes -= LARGE_BYTES
  }

  #takeSmall(): Uint8Array {
    return this.#small.pop() ?? Buffer.allocUnsafeSlow(SMALL_BYTES)
  }
}

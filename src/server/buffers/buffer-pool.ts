const LARGE_BYTES = 256 * 1024
/** What is read in one go, at most. */
export const SMALL_BYTES = 64 * 1024
const SPARE_BYTES = 32 * 1024
/** Small buffers kept for reuse, of each size. */
const KEPT_BYTES = 4 * 1024 * 1024

/**
 * The memory that reads pass through. Large buffers are kept for reuse up to a budget; a long read that finds the
 * budget spent gets a spare one, so that hundreds of slow readers cost 32 KiB each and a few fast ones run at full
 * speed. What is read in one go gets a small buffer, so that it is written in one go as well.
 */
export class BufferPool {
  readonly #budgetBytes: number
  readonly #large: Uint8Array[] = []
  readonly #small = new Shelf(SMALL_BYTES)
  readonly #spare = new Shelf(SPARE_BYTES)
  #largeBytes = 0

  constructor(budgetBytes: number) {
    this.#budgetBytes = budgetBytes
  }

  /** A buffer to hold up to `wantedBytes`; it may be smaller. Give it back with `release`, or drop it with `discard`. */
  take(wantedBytes: number): Uint8Array {
    if (wantedBytes <= SPARE_BYTES) return this.#spare.take()
    if (wantedBytes <= SMALL_BYTES) return this.#small.take()
    return this.tryTake() ?? this.#spare.take()
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
    else if (buffer.length === SMALL_BYTES) this.#small.release(buffer)
    else this.#spare.release(buffer)
  }

  /** For a buffer that somebody may still be reading: it is never used again. */
  discard(buffer: Uint8Array): void {
    if (buffer.length === LARGE_BYTES) this.#largeBytes -= LARGE_BYTES
  }
}

/** Buffers of one size. */
class Shelf {
  readonly #sizeBytes: number
  readonly #kept: Uint8Array[] = []

  constructor(sizeBytes: number) {
    this.#sizeBytes = sizeBytes
  }

  take(): Uint8Array {
    return this.#kept.pop() ?? Buffer.allocUnsafeSlow(this.#sizeBytes)
  }

  /** One too many is freed at once. */
  release(buffer: Uint8Array): void {
    if (this.#kept.length * this.#sizeBytes < KEPT_BYTES) this.#kept.push(buffer)
    else if (buffer.buffer instanceof ArrayBuffer) buffer.buffer.transfer(0)
  }
}

/**
 * Gives the memory of a piece back at once. The garbage collector would do it too, at half of the cost of a transfer: it
 * would look at everything that lives for the sake of each few megabytes. Views of a part of a buffer are left alone.
 * Nobody may use the piece any more, the system included: only for what has been read, or written with an answer.
 */
export function freeMemory({ buffer, byteLength }: Uint8Array): void {
  if (buffer instanceof ArrayBuffer && buffer.byteLength === byteLength) buffer.transfer(0)
}

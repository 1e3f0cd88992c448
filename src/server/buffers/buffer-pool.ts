const LARGE_BYTES = 256 * 1024
/** The largest read that uses one small buffer. */
export const SMALL_BYTES = 64 * 1024
const MINIMAL_BYTES = 32 * 1024
/** Bytes of free small buffers that are retained, of each size. */
const RETAINED_BYTES = 4 * 1024 * 1024

/**
 * The buffers of reads. Large ones are reused up to a budget; beyond it a long read gets 32 KiB, so that a few fast
 * readers run at full speed and hundreds of slow ones stay cheap. A short read gets a buffer of its size, so that it is
 * one read and one write.
 */
export class BufferPool {
  readonly #budgetBytes: number
  readonly #large: Uint8Array[] = []
  readonly #small = new Shelf(SMALL_BYTES)
  readonly #minimal = new Shelf(MINIMAL_BYTES)
  #largeBytes = 0

  constructor(budgetBytes: number) {
    this.#budgetBytes = budgetBytes
  }

  /** A buffer for up to `wantedBytes`; it may be smaller. Return it by `release` or `discard`. */
  take(wantedBytes: number): Uint8Array {
    if (wantedBytes <= MINIMAL_BYTES) return this.#minimal.take()
    if (wantedBytes <= SMALL_BYTES) return this.#small.take()
    return this.tryTake() ?? this.#minimal.take()
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
    else this.#minimal.release(buffer)
  }

  /** For a buffer that a failed write may still read: it is never reused. */
  discard(buffer: Uint8Array): void {
    if (buffer.length === LARGE_BYTES) this.#largeBytes -= LARGE_BYTES
  }
}

/** Buffers of one size. */
class Shelf {
  readonly #sizeBytes: number
  readonly #free: Uint8Array[] = []

  constructor(sizeBytes: number) {
    this.#sizeBytes = sizeBytes
  }

  take(): Uint8Array {
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(this.#sizeBytes)
  }

  /** Beyond the retained bytes it is freed at once. */
  release(buffer: Uint8Array): void {
    if (this.#free.length * this.#sizeBytes < RETAINED_BYTES) this.#free.push(buffer)
    else if (buffer.buffer instanceof ArrayBuffer) buffer.buffer.transfer(0)
  }
}

/**
 * Frees the memory of a piece at once; views of a part of a buffer are left alone. The garbage collector would cost
 * half of a transfer's time: it scans everything alive for each few megabytes. Nothing may use the piece any more, the
 * system included: a pending write would read freed memory.
 */
export function freeMemory({ buffer, byteLength }: Uint8Array): void {
  if (buffer instanceof ArrayBuffer && buffer.byteLength === byteLength) buffer.transfer(0)
}

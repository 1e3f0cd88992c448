import type { RandomSource } from '../../client/api/source-and-sink.ts'

/** Read at once. */
const READ_BYTES = 4 * 1024 * 1024

/** A source read once from front to back, of which a moving range is held. */
export class SlidingWindow {
  readonly #source: RandomSource
  readonly #onRead: (bytes: Uint8Array) => void
  #buffer = new Uint8Array(4 * READ_BYTES)
  /** Range of the source that the buffer holds. */
  #start = 0
  #end = 0

  /** @param onRead sees all bytes, in order, once */
  constructor(source: RandomSource, onRead: (bytes: Uint8Array) => void) {
    this.#source = source
    this.#onRead = onRead
  }

  /** Whether bytes up to `end` are held. */
  holds(end: number): boolean {
    return end <= this.#end
  }

  /** Reads until bytes up to `end` are held, and drops those before `keepFrom`. */
  async fill(keepFrom: number, end: number, signal: AbortSignal): Promise<void> {
    this.#dropBefore(keepFrom, end)
    while (this.#end < end) await this.#read(signal)
  }

  /** Held bytes; good until the next `fill`. */
  view(start: number, end: number): Uint8Array {
    return this.#buffer.subarray(start - this.#start, Math.min(end, this.#end) - this.#start)
  }

  #dropBefore(keepFrom: number, end: number): void {
    const kept = this.#buffer.subarray(keepFrom - this.#start, this.#end - this.#start)
    const needed = end - keepFrom + READ_BYTES
    if (needed > this.#buffer.byteLength) {
      const grown = new Uint8Array(needed)
      grown.set(kept)
      this.#buffer = grown
    } else this.#buffer.set(kept)
    this.#start = keepFrom
  }

  async #read(signal: AbortSignal): Promise<void> {
    const end = Math.min(this.#source.sizeBytes, this.#end + READ_BYTES)
    const target = this.#buffer.subarray(this.#end - this.#start, end - this.#start)
    if (this.#source.readInto) await this.#source.readInto(target, this.#end, signal)
    else target.set(await this.#source.read(this.#end, end, signal))
    this.#onRead(target)
    this.#end = end
  }
}

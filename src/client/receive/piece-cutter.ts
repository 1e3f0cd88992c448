import { release } from '../bytes/release-memory.ts'

/** Cuts bytes that arrive in pieces of any size into the sizes that are asked for. */
export class PieceCutter {
  readonly #pieces: AsyncIterator<Uint8Array>
  #piece: Uint8Array = new Uint8Array(0)
  #rest: Uint8Array = this.#piece
  #buffer: Uint8Array = new Uint8Array(0)

  constructor(pieces: AsyncIterable<Uint8Array>) {
    this.#pieces = pieces[Symbol.asyncIterator]()
  }

  /**
   * Exactly `size` bytes, or `null` when fewer are left. What it returns is only good until the next call: the memory
   * is used again.
   */
  async take(size: number): Promise<Uint8Array | null> {
    const direct = this.#rest.subarray(0, size)
    if (direct.byteLength === size) {
      this.#rest = this.#rest.subarray(size)
      return direct
    }
    if (this.#buffer.byteLength < size) this.#buffer = new Uint8Array(size)
    let filled = 0
    for (;;) {
      const taken = this.#rest.subarray(0, size - filled)
      this.#buffer.set(taken, filled)
      filled += taken.byteLength
      this.#rest = this.#rest.subarray(taken.byteLength)
      if (filled === size) return this.#buffer.subarray(0, size)
      release(this.#piece)
      const next = await this.#pieces.next()
      if (next.done === true) return null
      this.#piece = next.value
      this.#rest = next.value
    }
  }

  async stop(): Promise<void> {
    await this.#pieces.return?.()
  }
}

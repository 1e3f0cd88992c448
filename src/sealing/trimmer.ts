import { isZero } from './byte-tools.ts'
import { damaged } from './sealing-error.ts'
import type { Bytes } from './suite.ts'

/**
 * Takes the padding off a plaintext that arrives in pieces: keeps the first `plainBytes`, and refuses anything but
 * zeros behind them, so that one sealed media shows one content to everybody.
 */
export class Trimmer {
  #missing: number

  /** @param plainBytes the true length; `undefined` keeps everything */
  constructor(plainBytes: number | undefined) {
    this.#missing = plainBytes ?? Infinity
  }

  /** The part of the piece that is content: a view of it, perhaps empty. */
  trim(piece: Bytes): Bytes {
    const content = piece.subarray(0, Math.min(piece.byteLength, this.#missing))
    this.#missing -= content.byteLength
    if (!isZero(piece.subarray(content.byteLength))) throw damaged()
    return content
  }

  /** Throws `damaged` when the plaintext ended before its true length. */
  end(): void {
    if (this.#missing !== Infinity && this.#missing > 0) throw damaged()
  }
}

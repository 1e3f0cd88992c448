import type { Bytes } from './suite.ts'

export interface SlicerOptions {
  /** Bytes of piece `index`. */
  readonly sizeOf: (index: number) => number
  /** Whether to hold a full piece back until a byte behind it shows that it is not the last. */
  readonly holdsBack: boolean
}

/** One piece, valid until the next one is asked for. */
export interface SlicedPiece {
  readonly index: number
  readonly bytes: Uint8Array
}

/**
 * Cuts bytes that arrive in slices of any length into pieces of set sizes. Holds at most one piece in memory; a piece
 * that lies whole within one slice is handed on as a view of it, without a copy.
 */
export class Slicer {
  readonly #options: SlicerOptions
  #index = 0
  #held: Bytes
  #heldBytes = 0

  constructor(options: SlicerOptions) {
    this.#options = options
    this.#held = new Uint8Array(options.sizeOf(0))
  }

  /** The pieces that are complete with these bytes. All of them must be taken before the next call. */
  *push(slice: Uint8Array): Generator<SlicedPiece, void> {
    let rest = slice
    while (rest.byteLength > 0) {
      const size = this.#options.sizeOf(this.#index)
      const missing = size - this.#heldBytes
      const complete = this.#options.holdsBack ? rest.byteLength > missing : rest.byteLength >= missing
      if (!complete) break
      if (this.#heldBytes === 0) yield this.#next(rest.subarray(0, size))
      else yield this.#next(this.#joined(rest.subarray(0, missing), size))
      rest = rest.subarray(missing)
    }
    if (rest.byteLength > 0) this.#hold(rest, this.#options.sizeOf(this.#index))
  }

  /** What is left over: less than a piece, or a whole one that was held back. */
  end(): SlicedPiece {
    return { index: this.#index, bytes: this.#held.subarray(0, this.#heldBytes) }
  }

  #next(bytes: Uint8Array): SlicedPiece {
    const index = this.#index
    this.#index += 1
    return { index, bytes }
  }

  #joined(rest: Uint8Array, size: number): Uint8Array {
    this.#hold(rest, size)
    this.#heldBytes = 0
    return this.#held.subarray(0, size)
  }

  #hold(bytes: Uint8Array, size: number): void {
    if (this.#held.byteLength < size) {
      const larger = new Uint8Array(size)
      larger.set(this.#held.subarray(0, this.#heldBytes))
      this.#held = larger
    }
    this.#held.set(bytes, this.#heldBytes)
    this.#heldBytes += bytes.byteLength
  }
}

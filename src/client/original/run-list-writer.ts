import {
  COPY,
  LITERAL,
  MAX_ORIGINAL_BYTES,
  MAX_RUNS,
  RUN_LIST_VERSION,
  MAX_VARINT_BYTES,
  writeVarint,
  zigzag,
} from './run-list.ts'

/** What is gathered before it is given out. */
const PIECE_BYTES = 64 * 1024

/**
 * Writes a list of runs, front to back. Copies that go on where the last one ended become one run.
 * The caller sees to it that lengths add up to `bytes`.
 */
export class RunListWriter {
  readonly #emit: (piece: Uint8Array<ArrayBuffer>) => void
  #piece = new Uint8Array(PIECE_BYTES)
  #filled = 0
  #copy: { from: number; length: number } | null = null
  #copied = 0
  #runs = 0

  /** @param emit takes the list piece by piece; the pieces are its own */
  constructor(bytes: number, emit: (piece: Uint8Array<ArrayBuffer>) => void) {
    if (bytes > MAX_ORIGINAL_BYTES) throw new RangeError('This file is too large to be described')
    this.#emit = emit
    this.#piece[0] = RUN_LIST_VERSION
    this.#filled = writeVarint(this.#piece, 1, bytes)
  }

  /** Whether further runs fit in. Without, all that follows must be one literal. */
  get hasRoom(): boolean {
    return this.#runs < MAX_RUNS - 2
  }

  copy(from: number, length: number): void {
    if (this.#copy && this.#copy.from + this.#copy.length === from) this.#copy.length += length
    else {
      this.#flushCopy()
      this.#copy = { from, length }
    }
  }

  /** Opens a literal of so many bytes, which `bytes` then brings in any pieces. */
  literal(length: number): void {
    this.#flushCopy()
    this.#runs += 1
    this.#varint(length * 2 + LITERAL)
  }

  bytes(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.byteLength;) {
      const part = bytes.subarray(at, at + PIECE_BYTES - this.#filled)
      this.#piece.set(part, this.#filled)
      this.#filled += part.byteLength
      at += part.byteLength
      if (this.#filled === PIECE_BYTES) this.#flush()
    }
  }

  finish(sha256: Uint8Array): void {
    this.#flushCopy()
    this.bytes(sha256)
    this.#flush()
  }

  #flushCopy(): void {
    if (!this.#copy) return
    const { from, length } = this.#copy
    this.#copy = null
    this.#runs += 1
    this.#varint(length * 2 + COPY)
    this.#varint(zigzag(from - this.#copied))
    this.#copied = from + length
  }

  #varint(value: number): void {
    if (this.#filled + MAX_VARINT_BYTES > PIECE_BYTES) this.#flush()
    this.#filled = writeVarint(this.#piece, this.#filled, value)
  }

  #flush(): void {
    if (this.#filled === 0) return
    this.#emit(this.#piece.slice(0, this.#filled))
    this.#filled = 0
  }
}

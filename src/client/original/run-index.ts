import type { PlainRange } from '../api/source-and-sink.ts'
import type { Run } from './run-list.ts'

/** A part of a run: what stands at `at` of the file. */
export interface PlacedRun extends Run {
  readonly at: number
}

/** The runs of a file, to be found by their place in it. Sixteen bytes each. */
export class RunIndex {
  /** Where each run ends in the file. */
  readonly #ends = new NumberList(64)
  /** Literals below zero. */
  readonly #from = new NumberList(64)
  #bytes = 0

  add({ copy, length, from }: Run): void {
    this.#bytes += length
    this.#ends.push(this.#bytes)
    this.#from.push(copy ? from : -1 - from)
  }

  /** The runs of a range, those at its borders cut. */
  *within({ start, end }: PlainRange): Generator<PlacedRun, void> {
    for (let index = this.#firstAfter(start), at = start; at < end; index += 1) {
      const runEnd = this.#ends.at(index)
      if (Number.isNaN(runEnd)) return
      const runStart = index === 0 ? 0 : this.#ends.at(index - 1)
      const length = Math.min(end, runEnd) - at
      const stored = this.#from.at(index)
      const copy = stored >= 0
      yield { copy, at, length, from: (copy ? stored : -1 - stored) + at - runStart }
      at += length
    }
  }

  /** A range cut into pieces of at most so many bytes, at multiples of them, and so many runs. */
  *pieces({ start, end }: PlainRange, most: { bytes: number; runs: number }): Generator<PlainRange, void> {
    for (let at = start; at < end;) {
      const border = Math.min(end, (Math.floor(at / most.bytes) + 1) * most.bytes)
      const lastEnd = this.#ends.at(this.#firstAfter(at) + most.runs - 1)
      const pieceEnd = Number.isNaN(lastEnd) ? border : Math.min(border, lastEnd)
      yield { start: at, end: pieceEnd }
      at = pieceEnd
    }
  }

  /** The first run that ends behind a position. */
  #firstAfter(position: number): number {
    let low = 0
    let high = this.#ends.length
    while (low < high) {
      const middle = Math.floor((low + high) / 2)
      if (this.#ends.at(middle) > position) high = middle
      else low = middle + 1
    }
    return low
  }
}

const BLOCK = 2 ** 16

/** A list of numbers that grows without being copied. */
export class NumberList {
  readonly #blocks: (Float64Array | Uint32Array)[] = []
  readonly #bits: 32 | 64
  #length = 0

  /** @param bits 64: whole numbers below 2^53 of either sign; 32: whole numbers from 0 */
  constructor(bits: 32 | 64) {
    this.#bits = bits
  }

  get length(): number {
    return this.#length
  }

  push(value: number): void {
    const place = this.#length % BLOCK
    if (place === 0) this.#blocks.push(this.#bits === 64 ? new Float64Array(BLOCK) : new Uint32Array(BLOCK))
    const block = this.#blocks.at(-1)
    if (block) block[place] = value
    this.#length += 1
  }

  /** @returns NaN outside the list */
  at(index: number): number {
    if (index >= this.#length) return Number.NaN
    return this.#blocks[Math.floor(index / BLOCK)]?.[index % BLOCK] ?? Number.NaN
  }
}

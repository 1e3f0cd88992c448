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

/** Unsigned LEB128 of whole numbers below 2^53, in as few bytes as it takes: eight at most. */
export const MAX_VARINT_BYTES = 8

/** Writes `value` at `at`. Returns where it ends. */
export function writeVarint(target: Uint8Array, at: number, value: number): number {
  let end = at
  let rest = value
  while (rest >= 128) {
    target[end] = (rest % 128) + 128
    rest = Math.floor(rest / 128)
    end += 1
  }
  target[end] = rest
  return end + 1
}

/** Small numbers of either sign as small numbers: 0, -1, 1, -2 become 0, 1, 2, 3. */
export function zigzag(value: number): number {
  return value < 0 ? -2 * value - 1 : 2 * value
}

export function unzigzag(value: number): number {
  return value % 2 === 0 ? value / 2 : -(value + 1) / 2
}

/** Takes a varint byte by byte. */
export class VarintReader {
  #value = 0
  #scale = 1
  #bytes = 0

  /** @returns the number with its last byte, `null` before, `undefined` when this is no varint in its shortest form */
  take(byte: number): number | null | undefined {
    this.#bytes += 1
    this.#value += (byte & 127) * this.#scale
    this.#scale *= 128
    if (byte >= 128) return this.#bytes === MAX_VARINT_BYTES ? undefined : null
    const value = this.#value
    const isShortest = byte > 0 || this.#bytes === 1
    this.#value = 0
    this.#scale = 1
    this.#bytes = 0
    return isShortest && Number.isSafeInteger(value) ? value : undefined
  }
}

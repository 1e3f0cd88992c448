/**
 * The version of the list of runs, by which a file is rebuilt from the bytes of an item and bytes of its own: see
 * "Original" in `docs/format.md`.
 */
export const RUN_LIST_VERSION = 1

export const SHA256_BYTES = 32

/** Most runs of a list: a reader holds sixteen bytes for each. */
export const MAX_RUNS = 2 ** 24

/**
 * The most that all copies together may be, in lengths of the item: a list of some megabytes must not become a file of
 * terabytes.
 */
export const MAX_COPIES = 8

/** Keeps a length and its mark together below 2^53. */
export const MAX_ORIGINAL_BYTES = 2 ** 51

/** The mark in the lowest bit of a run's first number: its bytes are in the list. */
export const LITERAL = 0

/** As `LITERAL`: its bytes are copied from the item. */
export const COPY = 1

export interface Run {
  /** True: `from` is an offset in the item. False: `from` is an offset in the list. */
  readonly copy: boolean
  readonly length: number
  readonly from: number
}

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

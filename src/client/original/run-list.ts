/**
 * The list of runs, version 1, by which a file is put together from the bytes of an item and bytes of its own: see
 * "Original" in `docs/format.md`.
 */
export const RUN_LIST_VERSION = 1
export const SHA256_BYTES = 32
/** Runs of a list at most: a reader holds sixteen bytes for each. */
export const MAX_RUNS = 2 ** 24
/**
 * How many times the length of the item all copies together may be: a list of some megabytes must not become a file of
 * terabytes. A file that holds what was made of it once needs 1.
 */
export const MAX_COPIES = 8
/** Keeps a length and its mark together below 2^53. */
export const MAX_ORIGINAL_BYTES = 2 ** 51

/** The mark in the lowest bit of a run's first number. */
export const LITERAL = 0
export const COPY = 1

export interface Run {
  /** True: `from` is an offset in the item. False: `from` is where its bytes stand in the list. */
  readonly copy: boolean
  readonly length: number
  readonly from: number
}

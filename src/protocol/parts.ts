/** Parts are a whole number of chunks of the default size. */
export const PART_STEP_BYTES = 256 * 1024
/** The largest part of any server. A client holds parts in memory, whatever size a server gives them. */
export const MAX_PART_BYTES = 256 * 1024 * 1024

export function isPartSize(bytes: number): boolean {
  return bytes > 0 && bytes <= MAX_PART_BYTES && bytes % PART_STEP_BYTES === 0
}

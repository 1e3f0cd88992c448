/** Boxes of ISO/IEC 14496-12, read from bytes that are whole in memory. Whatever does not fit is refused. */

/** A file that is no well-formed MP4. */
export class BrokenBoxes extends Error {
  override readonly name = 'BrokenBoxes'
}

export interface Box {
  readonly type: string
  /** What is in it, without its header. */
  readonly body: DataView
}

/** The type of a box, from the four bytes at `at`. */
export const typeAt = (view: DataView, at: number): string =>
  String.fromCharCode(view.getUint8(at), view.getUint8(at + 1), view.getUint8(at + 2), view.getUint8(at + 3))

export const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)

/**
 * Length of the whole box and of its header, from the first bytes of it.
 * @returns `null` when more bytes are needed to tell
 * @throws BrokenBoxes for a length that cannot be, or that is not told (0: up to the end of the file)
 */
export function boxLength(view: DataView): { readonly header: number; readonly total: number } | null {
  if (view.byteLength < 8) return null
  const short = view.getUint32(0)
  if (short !== 1) return checkedLength(8, short)
  return view.byteLength < 16 ? null : checkedLength(16, Number(view.getBigUint64(8)))
}

function checkedLength(header: number, total: number): { header: number; total: number } {
  if (total < header || !Number.isSafeInteger(total)) throw new BrokenBoxes('A box has an impossible length')
  return { header, total }
}

/** The boxes that lie in `view`, from `start` on. */
export function* boxesIn(view: DataView, start = 0): Generator<Box> {
  for (let at = start; at < view.byteLength;) {
    const rest = new DataView(view.buffer, view.byteOffset + at, view.byteLength - at)
    const length = boxLength(rest)
    if (!length || length.total > rest.byteLength) throw new BrokenBoxes('A box is longer than what it lies in')
    const { header, total } = length
    const body = new DataView(rest.buffer, rest.byteOffset + header, total - header)
    yield { type: typeAt(rest, 4), body }
    at += total
  }
}

/** The first box at the end of `path`, each type lying in the one before. */
export function findBox(view: DataView, ...path: readonly string[]): DataView | null {
  let found: DataView | undefined = view
  for (const type of path) found = found && allBoxes(found, type)[0]
  return found ?? null
}

/** Bodies of all boxes of a type that lie directly in `view`. */
export const allBoxes = (view: DataView, type: string): DataView[] =>
  Array.from(boxesIn(view))
    .filter(box => box.type === type)
    .map(box => box.body)

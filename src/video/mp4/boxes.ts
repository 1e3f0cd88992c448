/**
 * Boxes of ISO/IEC 14496-12 in memory, read and written. Input may be hostile: a length that does not fit is refused,
 * the number of boxes is bounded, and a reader goes only as deep as the path that it names.
 */

/** A file that is no well-formed MP4. */
export class BrokenBoxes extends Error {
  override readonly name = 'BrokenBoxes'
}

export interface BoxHeader {
  readonly type: string
  readonly headerBytes: number
  /** Of the box with its header; `null`: up to the end of the file. */
  readonly bytes: number | null
}

export interface Box {
  readonly type: string
  /** Without the header. */
  readonly body: DataView
  /** Where the box lies in the view that it was read from. */
  readonly startsAt: number
  readonly endsAt: number
}

/** What a reader does at a box that does not fit: files of other programs may end in padding. */
export type AtDamage = 'throw' | 'stop'

const HEADER_BYTES = 8
export const MAX_HEADER_BYTES = 16
/** In one container. */
const MAX_BOXES = 100_000

/**
 * @returns `null` when more bytes are needed
 * @throws BrokenBoxes for a length that cannot be
 */
export function readBoxHeader(view: DataView, at = 0): BoxHeader | null {
  if (view.byteLength - at < HEADER_BYTES) return null
  const type = typeAt(view, at + 4)
  const short = view.getUint32(at)
  if (short === 0) return { type, headerBytes: HEADER_BYTES, bytes: null }
  if (short !== 1) return checked({ type, headerBytes: HEADER_BYTES, bytes: short })
  if (view.byteLength - at < MAX_HEADER_BYTES) return null
  return checked({ type, headerBytes: MAX_HEADER_BYTES, bytes: Number(view.getBigUint64(at + HEADER_BYTES)) })
}

function checked(header: BoxHeader & { readonly bytes: number }): BoxHeader {
  if (header.bytes >= header.headerBytes && Number.isSafeInteger(header.bytes)) return header
  throw new BrokenBoxes('A box has an impossible length')
}

/** The boxes that lie directly in `view`. */
export function* boxesIn(view: DataView, atDamage: AtDamage = 'throw'): Generator<Box, void> {
  try {
    for (let at = 0, count = 0; at < view.byteLength; count++) {
      if (count === MAX_BOXES) throw new BrokenBoxes('There are too many boxes')
      const box = boxAt(view, at)
      yield box
      at = box.endsAt
    }
  } catch (error) {
    if (atDamage === 'throw' || !(error instanceof BrokenBoxes)) throw error
  }
}

function boxAt(view: DataView, startsAt: number): Box {
  const header = readBoxHeader(view, startsAt)
  // Only the last box of a file may leave its length out.
  if (header?.bytes == null || header.bytes > view.byteLength - startsAt)
    throw new BrokenBoxes('A box is longer than what it lies in')
  const { type, headerBytes, bytes } = header
  const body = new DataView(view.buffer, view.byteOffset + startsAt + headerBytes, bytes - headerBytes)
  return { type, body, startsAt, endsAt: startsAt + bytes }
}

/** Bodies of all boxes of a type that lie directly in `view`. */
export function allBoxes(view: DataView, type: string, atDamage?: AtDamage): DataView[] {
  const found: DataView[] = []
  for (const box of boxesIn(view, atDamage)) if (box.type === type) found.push(box.body)
  return found
}

/** Body of the first box at the end of `path`, each type lying in the one before. */
export function findBox(view: DataView, path: readonly string[], atDamage?: AtDamage): DataView | null {
  let found: DataView | undefined = view
  for (const type of path) found = found && allBoxes(found, type, atDamage)[0]
  return found ?? null
}

/** @throws BrokenBoxes when there is none */
export function requireBox(view: DataView, ...path: readonly string[]): DataView {
  const found = findBox(view, path)
  if (!found) throw new BrokenBoxes(`The box ${path.join('/')} is missing`)
  return found
}

/** What is in a box, from all of its bytes. */
export function bodyOf(box: Uint8Array): DataView {
  return boxAt(viewOf(box), 0).body
}

/** Runs a reader; a field that lies beyond the end of its box is damage. */
export function readStrictly<T>(read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (error instanceof RangeError) throw new BrokenBoxes('A box is too short', { cause: error })
    throw error
  }
}

/** Version of a box that has one: 1 for fields of 64 bits. */
export const isWide = (fullBox: DataView): boolean => fullBox.getUint8(0) === 1

export const flagsOf = (fullBox: DataView): number => fullBox.getUint32(0) & 0xff_ff_ff

/** Four characters, such as the type of a box. */
export const typeAt = (view: DataView, at: number): string =>
  String.fromCharCode(view.getUint8(at), view.getUint8(at + 1), view.getUint8(at + 2), view.getUint8(at + 3))

export const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)

export function writeBox(type: string, ...body: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(body.reduce((sum, part) => sum + part.byteLength, HEADER_BYTES))
  viewOf(bytes).setUint32(0, bytes.byteLength)
  bytes.set(new TextEncoder().encode(type), 4)
  let at = HEADER_BYTES
  for (const part of body) {
    bytes.set(part, at)
    at += part.byteLength
  }
  return bytes
}

/** 32 bits each; negative ones in two's complement. */
export function writeInt32s(...values: readonly number[]): Uint8Array<ArrayBuffer> {
  const view = new DataView(new ArrayBuffer(values.length * 4))
  for (const [index, value] of values.entries()) view.setInt32(index * 4, value)
  return new Uint8Array(view.buffer)
}

/** Boxes of ISO 14496-12, as far as cutting a muxer's output into init and fragments needs them. */

export interface Box {
  readonly type: string
  /** With its header; lies in the bytes that were walked. */
  readonly bytes: Uint8Array<ArrayBuffer>
}

const HEADER_BYTES = 8
/** With version and flags. */
const FULL_BYTES = 12
/** Boxes that hold boxes and, within, what is timed by the clock of who muxed. */
const CONTAINERS = new Set(['moov', 'trak', 'mdia'])
const TIMED = new Set(['mvhd', 'tkhd', 'mdhd'])

/** @throws RangeError when a box does not end within `bytes` */
export function* boxesOf(bytes: Uint8Array<ArrayBuffer>): Generator<Box> {
  for (let at = 0; at < bytes.byteLength;) {
    const view = viewOf(bytes.subarray(at))
    const length = view.getUint32(0)
    if (length < HEADER_BYTES || at + length > bytes.byteLength) throw new RangeError('A box is not whole')
    const type = String.fromCharCode(...bytes.subarray(at + 4, at + HEADER_BYTES))
    yield { type, bytes: bytes.subarray(at, at + length) }
    at += length
  }
}

/** A box with these bytes in it. */
export function boxBytes(type: string, ...body: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
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

/** Clears creation and modification times, so that packaging the same film again gives the same bytes. */
export function clearTimes(bytes: Uint8Array<ArrayBuffer>): void {
  for (const box of boxesOf(bytes)) {
    if (CONTAINERS.has(box.type)) clearTimes(box.bytes.subarray(HEADER_BYTES))
    if (TIMED.has(box.type)) {
      const wide = box.bytes[HEADER_BYTES] === 1
      box.bytes.fill(0, HEADER_BYTES + 4, HEADER_BYTES + 4 + (wide ? 16 : 8))
    }
  }
}

/** Numbers a movie fragment; its header box is the first in it (8.8.4). */
export function numberFragment(moof: Uint8Array<ArrayBuffer>, sequence: number): void {
  viewOf(moof).setUint32(HEADER_BYTES + FULL_BYTES, sequence)
}

/** The boxes of a type right within a container. */
export function inside(container: Uint8Array<ArrayBuffer>, type: string): Box[] {
  return Array.from(boxesOf(container.subarray(HEADER_BYTES))).filter(box => box.type === type)
}

export function viewOf(bytes: Uint8Array<ArrayBuffer>): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

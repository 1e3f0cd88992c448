/** Boxes of ISO 14496-12, as far as cutting a muxer's output into init and fragments needs them. */

export interface Box {
  readonly type: string
  /** With its header; lies in the bytes that were walked. */
  readonly bytes: Uint8Array<ArrayBuffer>
}

const HEADER_BYTES = 8
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
  viewOf(moof).setUint32(HEADER_BYTES + HEADER_BYTES + 4, sequence)
}

function viewOf(bytes: Uint8Array<ArrayBuffer>): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

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

/**
 * Lets decoding begin so much earlier that no picture is shown before it is decoded. The muxer writes the same times
 * with negative offsets, which the standard allows and FFmpeg's players turn into pictures that lag behind the sound.
 * @param atLeast units of the track's clock, so that fragments of one file agree
 * @returns the delay it was; 0 when pictures are in the order of decoding
 */
export function delayPictures(moof: Uint8Array<ArrayBuffer>, atLeast: number): number {
  let delay = 0
  for (const traf of inside(moof, 'traf')) {
    const [tfdt] = inside(traf.bytes, 'tfdt')
    const offsets = inside(traf.bytes, 'trun').flatMap(({ bytes }) => shownAfter(bytes))
    const earliest = offsets.reduce((least, each) => Math.min(least, each.get()), 0)
    if (!tfdt || earliest === 0) continue
    const begin = viewOf(tfdt.bytes)
    delay = Math.min(Math.max(-earliest, atLeast), Number(begin.getBigUint64(FULL_BYTES)))
    begin.setBigUint64(FULL_BYTES, begin.getBigUint64(FULL_BYTES) - BigInt(delay))
    for (const each of offsets) each.set(each.get() + delay)
  }
  return delay
}

/** The boxes of a type right within a container. */
export function inside(container: Uint8Array<ArrayBuffer>, type: string): Box[] {
  return Array.from(boxesOf(container.subarray(HEADER_BYTES))).filter(box => box.type === type)
}

interface Field {
  get(): number
  set(value: number): void
}

/** Of each sample of a track run (8.8.8), where it says how long after its decoding it is shown. */
function shownAfter(trun: Uint8Array<ArrayBuffer>): Field[] {
  const view = viewOf(trun)
  const flags = view.getUint32(HEADER_BYTES)
  if ((flags & 0x800) === 0) return []
  const width = (mask: number) => [0x1, 0x4, 0x100, 0x200, 0x400, 0x800].filter(bit => flags & mask & bit).length * 4
  const first = FULL_BYTES + 4 + width(0xff)
  return Array.from({ length: view.getUint32(FULL_BYTES) }, (_, index) => {
    const at = first + (index + 1) * width(0xf00) - 4
    return { get: () => view.getInt32(at), set: value => view.setInt32(at, value) }
  })
}

export function viewOf(bytes: Uint8Array<ArrayBuffer>): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

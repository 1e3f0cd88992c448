/** Boxes of MP4 files, as few as it takes. */

export function box(type: string, ...content: readonly Uint8Array[]): Uint8Array {
  const body = Buffer.concat(content)
  return Buffer.concat([header(type, 8 + body.byteLength, false), body])
}

function header(type: string, total: number, isLarge: boolean): Uint8Array {
  const head = Buffer.alloc(isLarge ? 16 : 8)
  head.writeUInt32BE(isLarge ? 1 : total)
  head.write(type, 4, 'latin1')
  if (isLarge) head.writeBigUInt64BE(BigInt(total), 8)
  return head
}

/** Zeros but for 32-bit numbers at the given places. */
export function fields(bytes: number, values: Readonly<Record<number, number>>): Uint8Array {
  const content = Buffer.alloc(bytes)
  for (const [at, value] of Object.entries(values)) content.writeUInt32BE(value, Number(at))
  return content
}

/** The four characters as a number. */
export const code = (text: string): number => Buffer.from(text, 'latin1').readUInt32BE()

export interface FragmentFacts {
  /** Each a 25th of a second. */
  readonly samples: number
  /** Of media data. */
  readonly bytes: number
  /** Its media data has a length of 64 bits. */
  readonly large: boolean
}

const TICKS_PER_SECOND = 25_000

export function fragment({ samples, bytes, large }: FragmentFacts): Uint8Array {
  const tfhd = box('tfhd', fields(8, { 4: 1 }))
  const trun = box('trun', fields(8, { 4: samples }))
  const moof = box('moof', box('mfhd', fields(8, {})), box('traf', tfhd, trun))
  const mdat = header('mdat', bytes + (large ? 16 : 8), large)
  return Buffer.concat([moof, mdat, Buffer.alloc(bytes)])
}

/** One track of pictures. `head`: bytes of its initialization segment. */
export function fragmentedFile(fragments: readonly FragmentFacts[]): { bytes: Uint8Array; head: number } {
  const mdhd = box('mdhd', fields(24, { 12: TICKS_PER_SECOND }))
  const hdlr = box('hdlr', fields(24, { 8: code('vide') }))
  const trak = box('trak', box('tkhd', fields(84, { 12: 1 })), box('mdia', mdhd, hdlr))
  const mvex = box('mvex', box('trex', fields(24, { 4: 1, 12: TICKS_PER_SECOND / 25 })))
  const head = Buffer.concat([box('ftyp', Buffer.from('isomisom')), box('moov', trak, mvex)])
  return { bytes: Buffer.concat([head, ...fragments.map(fragment)]), head: head.byteLength }
}

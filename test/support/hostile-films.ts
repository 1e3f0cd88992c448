/** Files that pose as films. */
import { crc32, deflateSync } from 'node:zlib'

import { box, code, fields } from './boxes.ts'

/** The bytes of a header whose `moov` announces so many tracks, each of them empty. */
export function manyTracks(count: number): Uint8Array {
  const track = (id: number): Uint8Array => {
    const mdhd = box('mdhd', fields(24, { 12: 1000 }))
    const hdlr = box('hdlr', fields(25, { 8: code('vide') }))
    return box('trak', box('tkhd', fields(84, { 12: id })), box('mdia', mdhd, hdlr, box('minf', box('stbl'))))
  }
  const tracks = Array.from({ length: count }, (_, index) => track(index + 1))
  const mvhd = box('mvhd', fields(100, { 12: 1000 }))
  return Buffer.concat([box('ftyp', Buffer.from('isom\0\0\x02\0isom')), box('moov', mvhd, ...tracks)])
}

/** The same film, each of its clocks so slow that it seems to last for days. */
export function withSlowClocks(mp4: Uint8Array): Uint8Array {
  const film = Buffer.from(mp4)
  for (const type of ['mvhd', 'mdhd']) {
    for (let at = film.indexOf(type); at !== -1; at = film.indexOf(type, at + 4)) film.writeUInt32BE(1, at + 4 + 12)
  }
  return film
}

/** A PNG that announces so many pixels, without bringing them. */
export function hugePng(side: number): Uint8Array {
  const size = Buffer.alloc(13)
  size.writeUInt32BE(side, 0)
  size.writeUInt32BE(side, 4)
  size.set([8, 6, 0, 0, 0], 8)
  const chunk = (type: string, data: Uint8Array): Uint8Array => {
    const head = Buffer.alloc(8)
    head.writeUInt32BE(data.byteLength)
    head.write(type, 4, 'latin1')
    const sum = Buffer.alloc(4)
    sum.writeUInt32BE(crc32(Buffer.concat([head.subarray(4), data])))
    return Buffer.concat([head, data, sum])
  }
  const signature = Uint8Array.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])
  return Buffer.concat([signature, chunk('IHDR', size), chunk('IDAT', deflateSync(Buffer.alloc(1_000_000)))])
}

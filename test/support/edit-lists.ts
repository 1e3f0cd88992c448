/** Writes edit lists into MP4 files whose index comes first, as ffmpeg makes them with `-movflags +faststart`. */
import { readFile, writeFile } from 'node:fs/promises'

import { box } from './boxes.ts'

export interface TestEdit {
  /** In the track, after what its own list leaves out at the beginning; `null`: nothing is shown. */
  readonly from: number | null
  readonly seconds: number
  readonly rate?: number
}

/** Which of a file's tracks get a list. */
export type EditedTracks = 'all' | 'vide' | 'soun'

interface Part {
  readonly type: string
  readonly body: Buffer
}

export async function withEdits(
  path: string,
  target: string,
  edits: readonly TestEdit[],
  tracks: EditedTracks = 'all',
): Promise<string> {
  const before = await readFile(path)
  const moov = partsOf(before).find(({ type }) => type === 'moov')?.body ?? Buffer.alloc(0)
  const movieTicks = only(partsOf(moov), 'mvhd').readUInt32BE(12)
  const edited = written(
    partsOf(moov).map(part => (part.type === 'trak' ? withList(part, { edits, tracks, movieTicks }) : part)),
  )
  const grown = edited.byteLength - moov.byteLength
  const after = written(partsOf(before).map(part => (part.type === 'moov' ? { type: 'moov', body: edited } : part)))
  moveChunks(after, grown)
  await writeFile(target, after)
  return target
}

interface Edited {
  readonly edits: readonly TestEdit[]
  readonly tracks: EditedTracks
  readonly movieTicks: number
}

function withList(trak: Part, { edits, tracks, movieTicks }: Edited): Part {
  const parts = partsOf(trak.body)
  const mdia = partsOf(only(parts, 'mdia'))
  const kind = only(mdia, 'hdlr').toString('latin1', 8, 12)
  if (tracks !== 'all' && tracks !== kind) return trak
  const mediaTicks = only(mdia, 'mdhd').readUInt32BE(12)
  const begins = only(partsOf(only(parts, 'edts')), 'elst').readInt32BE(12)
  const entries = edits.map(({ from, seconds, rate = 1 }) => {
    const entry = Buffer.alloc(12)
    entry.writeUInt32BE(Math.round(seconds * movieTicks))
    entry.writeInt32BE(from === null ? -1 : begins + Math.round(from * mediaTicks), 4)
    entry.writeInt32BE(rate * 0x1_00_00, 8)
    return entry
  })
  const head = Buffer.alloc(8)
  head.writeUInt32BE(entries.length, 4)
  const elst = Buffer.from(box('elst', head, ...entries))
  return {
    type: 'trak',
    body: written(parts.map(part => (part.type === 'edts' ? { type: 'edts', body: elst } : part))),
  }
}

/** Media data has moved by so much. */
function moveChunks(file: Buffer, by: number): void {
  for (let at = file.indexOf('stco'); at !== -1; at = file.indexOf('stco', at + 4)) {
    for (let chunk = 0; chunk < file.readUInt32BE(at + 8); chunk++) {
      const place = at + 12 + 4 * chunk
      file.writeUInt32BE(file.readUInt32BE(place) + by, place)
    }
  }
}

function partsOf(bytes: Buffer): Part[] {
  const parts: Part[] = []
  for (let at = 0; at + 8 <= bytes.byteLength;) {
    const length = bytes.readUInt32BE(at)
    parts.push({ type: bytes.toString('latin1', at + 4, at + 8), body: bytes.subarray(at + 8, at + length) })
    at += length
  }
  return parts
}

const written = (parts: readonly Part[]): Buffer => Buffer.concat(parts.map(({ type, body }) => box(type, body)))

function only(parts: readonly Part[], wanted: string): Buffer {
  const found = parts.find(({ type }) => type === wanted)
  if (!found) throw new Error(`There is no ${wanted}`)
  return found.body
}

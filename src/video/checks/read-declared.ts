import type { RandomSource } from '../../client/api/source-and-sink.ts'
import { BrokenBoxes } from '../mp4/boxes.ts'
import type { DeclaredFilm } from './declared.ts'
import { matroskaFacts } from './matroska-facts.ts'
import { mp4Facts } from './mp4-facts.ts'
import { transportFacts } from './transport-facts.ts'

const EBML = 0x1a_45_df_a3
const MP4_BEGINS_WITH = /^(ftyp|styp|moov|mdat|wide|free|skip|pnot)$/

/** Bytes before each packet of a transport stream: none, or the time stamps of cameras. */
const TRANSPORT_TIME_BYTES = [0, 4]
const TRANSPORT_PACKET_BYTES = 188
const TRANSPORT_SYNC = 0x47
const START_BYTES = 400

/**
 * What the headers of a file declare.
 * @returns `null` for containers that declare nothing, and for files that cannot be read this far
 */
export async function readDeclared(source: RandomSource, signal: AbortSignal): Promise<DeclaredFilm | null> {
  if (source.sizeBytes < 8) return null
  const start = await source.read(0, Math.min(source.sizeBytes, START_BYTES), signal)
  try {
    if (new DataView(start.buffer, start.byteOffset).getUint32(0) === EBML) return await matroskaFacts(source, signal)
    const type = new TextDecoder('latin1').decode(start.subarray(4, 8))
    if (MP4_BEGINS_WITH.test(type)) return await mp4Facts(source, signal)
    const timeBytes = transportTimeBytes(start)
    return timeBytes === undefined ? null : await transportFacts(source, { timeBytes, signal })
  } catch (error) {
    if (error instanceof BrokenBoxes || error instanceof RangeError) return null
    throw error
  }
}

/** @returns `undefined` when it is no transport stream */
export function transportTimeBytes(start: Uint8Array): number | undefined {
  return TRANSPORT_TIME_BYTES.find(time =>
    [0, 1].every(packet => start[time + packet * (TRANSPORT_PACKET_BYTES + time)] === TRANSPORT_SYNC),
  )
}

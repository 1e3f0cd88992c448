import type { RandomSource } from '../../client/source.ts'
import type { DeclaredFilm } from './declared.ts'
import { matroskaFacts } from './matroska-facts.ts'
import { mp4Facts } from './mp4-facts.ts'

const EBML = 0x1a_45_df_a3
const MP4_BEGINS_WITH = /^(ftyp|styp|moov|mdat|wide|free|skip|pnot)$/

/**
 * What a file says that is in it.
 * @returns `null` for containers that declare nothing, and for files that cannot be read this far
 */
export async function readDeclared(source: RandomSource, signal: AbortSignal): Promise<DeclaredFilm | null> {
  if (source.sizeBytes < 8) return null
  const start = await source.read(0, 8, signal)
  try {
    if (new DataView(start.buffer, start.byteOffset).getUint32(0) === EBML) return await matroskaFacts(source, signal)
    const type = new TextDecoder('latin1').decode(start.subarray(4))
    return MP4_BEGINS_WITH.test(type) ? await mp4Facts(source, signal) : null
  } catch (error) {
    // A box that is too short for what should be in it.
    if (error instanceof RangeError) return null
    throw error
  }
}

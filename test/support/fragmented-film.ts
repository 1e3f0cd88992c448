/** Fragmented MP4s of given samples, as small as they can be, for tests of what reads them. */
import { box } from './boxes.ts'
import { concat } from './concat.ts'

export interface Fragment {
  readonly samples: readonly Uint8Array[]
  /** Sizes by the fragment's default instead of one for each; then all samples are equally long. */
  readonly uniform?: boolean
}

/** One track, one `moof` and `mdat` for each fragment. */
export function fragmentedFilm(fragments: readonly Fragment[]): Uint8Array<ArrayBuffer> {
  return concat([box('ftyp', ascii('isom')), box('moov', moovBody()), ...fragments.flatMap(fragmentBoxes)])
}

function moovBody(): Uint8Array {
  return box('mvex', box('trex', words(0, 1, 1, 0, 0, 0)))
}

function fragmentBoxes({ samples, uniform = false }: Fragment): Uint8Array[] {
  const moof = (dataOffset: number): Uint8Array => {
    const tfhd = uniform ? words(0x02_00_10, 1, samples[0]?.byteLength ?? 0) : words(0x02_00_00, 1)
    const sizes = uniform ? [] : samples.map(sample => sample.byteLength)
    const trun = words(uniform ? 1 : 0x2_01, samples.length, dataOffset, ...sizes)
    return box('moof', box('traf', concat([box('tfhd', tfhd), box('trun', trun)])))
  }
  const offset = moof(0).byteLength + 8
  return [moof(offset), box('mdat', concat(samples))]
}

function words(...values: number[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(values.length * 4))
  for (const [place, value] of values.entries()) view.setUint32(place * 4, value)
  return new Uint8Array(view.buffer)
}

const ascii = (text: string): Uint8Array => new TextEncoder().encode(text)

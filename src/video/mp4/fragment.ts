/** A track's part of a movie fragment, read and written: ISO/IEC 14496-12, section 8.8. */
import { boxBytes, inside, viewOf } from '../remux/boxes.ts'

const HEADER_BYTES = 8
/** With version and flags. */
const FULL_BYTES = 12
/** Offsets of media data count from the beginning of the `moof`. */
const BASE_IS_MOOF = 0x02_00_00
const [HAS_DURATION, HAS_SIZE, HAS_FLAGS, HAS_SHOWN_AFTER] = [0x1_00, 0x2_00, 0x4_00, 0x8_00]

export interface FragmentSample {
  /** Units of the track's clock, as `shownAfter`: how long after its decoding it is shown. */
  readonly duration: number
  readonly size: number
  readonly flags: number
  readonly shownAfter: number
}

export interface FragmentTrack {
  readonly trackId: number
  /** When the first sample is decoded. */
  readonly decodeTime: bigint
  readonly samples: readonly FragmentSample[]
}

type Defaults = Pick<FragmentSample, 'duration' | 'size' | 'flags'>

/** @param traf a `traf` as a muxer writes it that gives its defaults in `tfhd` */
export function readTrack(traf: Uint8Array<ArrayBuffer>): FragmentTrack {
  const [tfhd, tfdt] = [inside(traf, 'tfhd')[0], inside(traf, 'tfdt')[0]]
  if (!tfhd || !tfdt) throw new RangeError('A fragment tells no times')
  const header = viewOf(tfhd.bytes)
  const defaults = readDefaults(header)
  return {
    trackId: header.getUint32(FULL_BYTES),
    decodeTime: viewOf(tfdt.bytes).getBigUint64(FULL_BYTES),
    samples: inside(traf, 'trun').flatMap(({ bytes }) => readRun(viewOf(bytes), defaults)),
  }
}

function readDefaults(tfhd: DataView): Defaults {
  const flags = tfhd.getUint32(HEADER_BYTES)
  let at = FULL_BYTES + 4 + (flags & 0x1 ? 8 : 0) + (flags & 0x2 ? 4 : 0)
  const next = (mask: number): number => {
    if ((flags & mask) === 0) return 0
    at += 4
    return tfhd.getUint32(at - 4)
  }
  return { duration: next(0x8), size: next(0x10), flags: next(0x20) }
}

function readRun(trun: DataView, defaults: Defaults): FragmentSample[] {
  const flags = trun.getUint32(HEADER_BYTES)
  let at = FULL_BYTES + 4
  const next = (mask: number, otherwise: number): number => {
    if ((flags & mask) === 0) return otherwise
    at += 4
    return trun.getUint32(at - 4)
  }
  next(0x1, 0)
  const firstFlags = next(0x4, defaults.flags)
  return Array.from({ length: trun.getUint32(FULL_BYTES) }, (_, index) => ({
    duration: next(HAS_DURATION, defaults.duration),
    size: next(HAS_SIZE, defaults.size),
    flags: next(HAS_FLAGS, index === 0 ? firstFlags : defaults.flags),
    // Signed.
    shownAfter: next(HAS_SHOWN_AFTER, 0) | 0,
  }))
}

/** What all samples share is told once. @returns the box, and where in it the offset of the media data is to be put */
export function writeTrack({ trackId, decodeTime, samples }: FragmentTrack): {
  readonly bytes: Uint8Array<ArrayBuffer>
  readonly dataOffsetAt: number
} {
  const shared = (field: keyof FragmentSample): number | null => {
    const value = samples[0]?.[field] ?? 0
    return samples.every(sample => sample[field] === value) ? value : null
  }
  const [duration, flags] = [shared('duration'), shared('flags')]
  const isDelayed = samples.some(({ shownAfter }) => shownAfter !== 0)
  const own = [duration === null ? HAS_DURATION : 0, HAS_SIZE, flags === null ? HAS_FLAGS : 0]
  const has = [...own, isDelayed ? HAS_SHOWN_AFTER : 0].reduce((sum, bit) => sum | bit, 0)
  const defaults = [...(duration === null ? [] : [duration]), ...(flags === null ? [] : [flags])]
  const head = BASE_IS_MOOF | (duration === null ? 0 : 0x8) | (flags === null ? 0 : 0x20)
  const tfhd = boxBytes('tfhd', words([head, trackId, ...defaults]))
  const tfdt = boxBytes('tfdt', words([0x01_00_00_00, Number(decodeTime >> 32n), Number(decodeTime & 0xff_ff_ff_ffn)]))
  const fields = samples.flatMap(sample => [
    ...(duration === null ? [sample.duration] : []),
    sample.size,
    ...(flags === null ? [sample.flags] : []),
    ...(isDelayed ? [sample.shownAfter] : []),
  ])
  const trun = boxBytes('trun', words([0x01_00_00_01 | has, samples.length, 0, ...fields]))
  const dataOffsetAt = HEADER_BYTES + tfhd.byteLength + tfdt.byteLength + FULL_BYTES + 4
  return { bytes: boxBytes('traf', tfhd, tfdt, trun), dataOffsetAt }
}

/** 32 bits each; negative ones in two's complement. */
export function words(values: readonly number[]): Uint8Array<ArrayBuffer> {
  const view = new DataView(new ArrayBuffer(values.length * 4))
  for (const [index, value] of values.entries()) view.setInt32(index * 4, value)
  return new Uint8Array(view.buffer)
}

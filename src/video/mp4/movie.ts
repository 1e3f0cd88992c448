/** How long a fragment lasts: what `moov` says of the tracks, and `moof` of their samples (ISO/IEC 14496-12, 8.8). */
import { allBoxes, BrokenBoxes, findBox, typeAt } from './boxes.ts'

interface TrackClock {
  readonly isVideo: boolean
  readonly ticksPerSecond: number
  /** Ticks of a sample whose duration is not told. */
  readonly defaultTicks: number
}

/** By track id. */
export type TrackClocks = ReadonlyMap<number, TrackClock>

/** @throws BrokenBoxes, RangeError */
export function trackClocks(moov: DataView): TrackClocks {
  const mvex = findBox(moov, 'mvex')
  const defaults = new Map(
    (mvex ? allBoxes(mvex, 'trex') : []).map(trex => [trex.getUint32(4), trex.getUint32(12)] as const),
  )
  return new Map(
    allBoxes(moov, 'trak').map(trak => {
      const id = idOf(needed(findBox(trak, 'tkhd')))
      const isVideo = typeAt(needed(findBox(trak, 'mdia', 'hdlr')), 8) === 'vide'
      const ticksPerSecond = timescaleOf(needed(findBox(trak, 'mdia', 'mdhd')))
      return [id, { isVideo, ticksPerSecond, defaultTicks: defaults.get(id) ?? 0 }]
    }),
  )
}

/** How long a fragment lasts, and when the last of its tracks ends: both in seconds. */
export interface FragmentTimes {
  /** Of its video; without any, of its longest track. */
  readonly seconds: number
  readonly end: number
}

export function fragmentTimes(moof: DataView, clocks: TrackClocks): FragmentTimes {
  const tracks = allBoxes(moof, 'traf').map(traf => {
    const tfhd = needed(findBox(traf, 'tfhd'))
    const clock = clocks.get(tfhd.getUint32(4))
    if (!clock) throw new BrokenBoxes('A fragment is of an unknown track')
    const defaultTicks = defaultTicksOf(tfhd) ?? clock.defaultTicks
    const ticks = allBoxes(traf, 'trun').reduce((sum, trun) => sum + ticksOf(trun, defaultTicks), 0)
    const { isVideo, ticksPerSecond } = clock
    return { isVideo, seconds: ticks / ticksPerSecond, end: (decodeTimeOf(traf) + ticks) / ticksPerSecond }
  })
  const videos = tracks.filter(each => each.isVideo)
  return {
    seconds: Math.max(0, ...(videos.length > 0 ? videos : tracks).map(each => each.seconds)),
    end: Math.max(0, ...tracks.map(each => each.end)),
  }
}

/** When the first sample of a `traf` is decoded; 0 when it does not say. */
export function decodeTimeOf(traf: DataView): number {
  const tfdt = findBox(traf, 'tfdt')
  if (!tfdt) return 0
  return tfdt.getUint8(0) === VERSION_1 ? Number(tfdt.getBigUint64(4)) : tfdt.getUint32(4)
}

const VERSION_1 = 1
const idOf = (tkhd: DataView): number => tkhd.getUint32(tkhd.getUint8(0) === VERSION_1 ? 20 : 12)

function timescaleOf(mdhd: DataView): number {
  const timescale = mdhd.getUint32(mdhd.getUint8(0) === VERSION_1 ? 20 : 12)
  if (timescale === 0) throw new BrokenBoxes('A track has no clock')
  return timescale
}

const flagsOf = (fullBox: DataView): number => fullBox.getUint32(0) & 0xff_ff_ff
export const has = (flags: number, flag: number): boolean => (flags & flag) !== 0

/** `default-sample-duration` of a `tfhd`, which lies behind the fields that its flags announce. */
export function defaultTicksOf(tfhd: DataView): number | null {
  const flags = flagsOf(tfhd)
  if (!has(flags, 0x08)) return null
  return tfhd.getUint32(8 + (has(flags, 0x01) ? 8 : 0) + (has(flags, 0x02) ? 4 : 0))
}

/** Ticks of all samples of a `trun`. */
function ticksOf(trun: DataView, defaultTicks: number): number {
  const flags = flagsOf(trun)
  const samples = trun.getUint32(4)
  if (!has(flags, 0x1_00)) return samples * defaultTicks
  const first = 8 + (has(flags, 0x01) ? 4 : 0) + (has(flags, 0x04) ? 4 : 0)
  const sampleBytes = 4 * [0x1_00, 0x2_00, 0x4_00, 0x8_00].filter(flag => has(flags, flag)).length
  let ticks = 0
  for (let sample = 0; sample < samples; sample++) ticks += trun.getUint32(first + sample * sampleBytes)
  return ticks
}

export function needed(box: DataView | null): DataView {
  if (!box) throw new BrokenBoxes('A box is missing')
  return box
}

/** The `moov` box (ISO/IEC 14496-12, 8.2 to 8.6): the tracks of a file, their clocks and their edit lists. */
import { allBoxes, BrokenBoxes, findBox, isWide, readStrictly, requireBox, typeAt } from './boxes.ts'
import type { SampleDefaults } from './fragment.ts'

export interface TrackClock extends SampleDefaults {
  readonly isVideo: boolean
  readonly ticksPerSecond: number
}

/** By track id. */
export type TrackClocks = ReadonlyMap<number, TrackClock>

const NO_DEFAULTS: SampleDefaults = { duration: 0, size: 0, flags: 0 }

/**
 * Tracks of a fragmented file, each with the defaults of its samples.
 * @throws BrokenBoxes
 */
export function trackClocks(moov: DataView): TrackClocks {
  const defaults = sampleDefaults(moov)
  return readStrictly(
    () =>
      new Map(
        allBoxes(moov, 'trak').map(trak => {
          const id = trackIdOf(requireBox(trak, 'tkhd'))
          const isVideo = typeAt(requireBox(trak, 'mdia', 'hdlr'), 8) === 'vide'
          const ticksPerSecond = timescaleOf(requireBox(trak, 'mdia', 'mdhd'))
          if (ticksPerSecond === 0) throw new BrokenBoxes('A track has no clock')
          return [id, { isVideo, ticksPerSecond, ...(defaults.get(id) ?? NO_DEFAULTS) }]
        }),
      ),
  )
}

/** Defaults of all fragments by track id, from `trex`. @throws BrokenBoxes */
export function sampleDefaults(moov: DataView): ReadonlyMap<number, SampleDefaults> {
  return readStrictly(() => {
    const mvex = findBox(moov, ['mvex'])
    const boxes = mvex ? allBoxes(mvex, 'trex') : []
    return new Map(
      boxes.map(trex => [
        trex.getUint32(4),
        { duration: trex.getUint32(12), size: trex.getUint32(16), flags: trex.getUint32(20) },
      ]),
    )
  })
}

/** Clears creation and modification times, so that packaging the same film again gives the same bytes. */
export function clearTimes(moov: DataView): void {
  const timed = [requireBox(moov, 'mvhd')]
  for (const trak of allBoxes(moov, 'trak')) timed.push(requireBox(trak, 'tkhd'), requireBox(trak, 'mdia', 'mdhd'))
  for (const box of timed) new Uint8Array(box.buffer, box.byteOffset + 4, isWide(box) ? 16 : 8).fill(0)
}

/** One line of an edit list (8.6.6). */
export interface IndexedEdit {
  /** On the clock of the movie. */
  readonly ticks: number
  /** On the clock of the track; `null`: nothing is shown. */
  readonly mediaTime: number | null
  /** 1 for the usual speed. */
  readonly rate: number
}

export interface IndexedTrack {
  readonly id: number
  /** `vide`, `soun` or another. */
  readonly handler: string
  /** Type of the first sample entry; empty when there is none. */
  readonly codec: string
  /** Samples in the index, those of fragments not counted. */
  readonly samples: number
  readonly ticksPerSecond: number
  readonly edits: readonly IndexedEdit[]
}

export interface MovieIndex {
  readonly ticksPerSecond: number
  readonly isFragmented: boolean
  readonly tracks: readonly IndexedTrack[]
}

/** The index of a file of any origin: boxes that do not fit are passed over. @throws BrokenBoxes */
export function readIndex(moov: DataView): MovieIndex {
  return readStrictly(() => {
    const mvhd = first(moov, 'mvhd')
    return {
      ticksPerSecond: (mvhd && timescaleOf(mvhd)) || 1,
      isFragmented: first(moov, 'mvex') !== null,
      tracks: allBoxes(moov, 'trak', 'stop').flatMap(trak => indexedTrack(trak) ?? []),
    }
  })
}

function indexedTrack(trak: DataView): IndexedTrack | null {
  const [tkhd, mdhd, hdlr] = [first(trak, 'tkhd'), first(trak, 'mdia', 'mdhd'), first(trak, 'mdia', 'hdlr')]
  if (!tkhd || !mdhd || !hdlr) return null
  const stbl = first(trak, 'mdia', 'minf', 'stbl')
  const [stsd, sizes] = [stbl && first(stbl, 'stsd'), stbl && (first(stbl, 'stsz') ?? first(stbl, 'stz2'))]
  const elst = first(trak, 'edts', 'elst')
  return {
    id: trackIdOf(tkhd),
    handler: typeAt(hdlr, 8),
    codec: stsd && stsd.byteLength >= 16 ? typeAt(stsd, 12) : '',
    samples: sizes ? sizes.getUint32(8) : 0,
    ticksPerSecond: timescaleOf(mdhd) || 1,
    edits: elst ? editsOf(elst) : [],
  }
}

function editsOf(elst: DataView): IndexedEdit[] {
  const wide = isWide(elst)
  const entryBytes = wide ? 20 : 12
  const count = Math.min(elst.getUint32(4), Math.floor((elst.byteLength - 8) / entryBytes))
  return Array.from({ length: count }, (_, index) => {
    const at = 8 + index * entryBytes
    const ticks = wide ? Number(elst.getBigUint64(at)) : elst.getUint32(at)
    const mediaTime = wide ? Number(elst.getBigInt64(at + 8)) : elst.getInt32(at + 4)
    const rate = elst.getInt32(at + entryBytes - 4) / 0x1_00_00
    return { ticks, mediaTime: mediaTime < 0 ? null : mediaTime, rate }
  })
}

const first = (view: DataView, ...path: readonly string[]): DataView | null => findBox(view, path, 'stop')

const trackIdOf = (tkhd: DataView): number => tkhd.getUint32(isWide(tkhd) ? 20 : 12)

/** Ticks per second, of an `mvhd` or `mdhd`. */
const timescaleOf = (box: DataView): number => box.getUint32(isWide(box) ? 20 : 12)

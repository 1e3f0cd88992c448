/** The `moof` box, read and written: the samples of a movie fragment (ISO/IEC 14496-12, 8.8). */
import {
  allBoxes,
  BrokenBoxes,
  findBox,
  flagsOf,
  isWide,
  readStrictly,
  requireBox,
  viewOf,
  writeBox,
  writeInt32s,
} from './boxes.ts'

export interface FragmentSample {
  /** Ticks of the track's clock, as `shownAfter`: how long after its decoding it is shown. */
  readonly duration: number
  readonly size: number
  readonly flags: number
  readonly shownAfter: number
}

/** What samples have that say nothing of their own. */
export type SampleDefaults = Pick<FragmentSample, 'duration' | 'size' | 'flags'>

/** A track's part of a fragment. */
export interface FragmentTrack {
  readonly trackId: number
  /** When the first sample is decoded. */
  readonly decodeTime: number
  readonly samples: readonly FragmentSample[]
}

/** As it stands in the file. */
export interface WrittenTrack extends Omit<FragmentTrack, 'decodeTime'> {
  /** `null`: not said. */
  readonly decodeTime: number | null
  /** Of the file, from which data offsets count; `null`: not said. */
  readonly baseOffset: number | null
  /** Without a base offset: data offsets count from the `moof`, not from the end of the track before. */
  readonly isFromMoof: boolean
  readonly runs: readonly SampleRun[]
}

/** Samples that lie one after the other. */
interface SampleRun {
  /** `null`: behind the run before. */
  readonly dataOffset: number | null
  readonly samples: readonly FragmentSample[]
}

/** Of one fragment. No packager makes as many; a few bytes may claim billions. */
const MAX_SAMPLES = 1_000_000
const BASE_OFFSET = 0x1
const [DESCRIPTION, TRACK_DURATION, TRACK_SIZE, TRACK_FLAGS] = [0x2, 0x8, 0x10, 0x20]
const BASE_IS_MOOF = 0x02_00_00
const [DATA_OFFSET, FIRST_FLAGS] = [0x1, 0x4]
const [DURATION, SIZE, FLAGS, SHOWN_AFTER] = [0x1_00, 0x2_00, 0x4_00, 0x8_00]

/**
 * @param defaults by track id, from the `moov`
 * @throws BrokenBoxes
 */
export function readFragment(
  moof: DataView,
  defaults: ReadonlyMap<number, SampleDefaults> = new Map(),
): WrittenTrack[] {
  let left = MAX_SAMPLES
  const count = (samples: number): void => {
    left -= samples
    if (left < 0) throw new BrokenBoxes('A fragment has too many samples')
  }
  return readStrictly(() => allBoxes(moof, 'traf').map(traf => readTrack(traf, defaults, count)))
}

function readTrack(
  traf: DataView,
  defaults: ReadonlyMap<number, SampleDefaults>,
  count: (samples: number) => void,
): WrittenTrack {
  const tfhd = requireBox(traf, 'tfhd')
  const trackId = tfhd.getUint32(4)
  const [flags, next] = [flagsOf(tfhd), fieldsFrom(tfhd, 8)]
  const baseOffset = flags & BASE_OFFSET ? next() * 2 ** 32 + next() : null
  if (flags & DESCRIPTION) next()
  const own: SampleDefaults = {
    duration: flags & TRACK_DURATION ? next() : (defaults.get(trackId)?.duration ?? 0),
    size: flags & TRACK_SIZE ? next() : (defaults.get(trackId)?.size ?? 0),
    flags: flags & TRACK_FLAGS ? next() : (defaults.get(trackId)?.flags ?? 0),
  }
  const tfdt = findBox(traf, ['tfdt'])
  const decodeTime = tfdt && (isWide(tfdt) ? Number(tfdt.getBigUint64(4)) : tfdt.getUint32(4))
  const runs = allBoxes(traf, 'trun').map(trun => readRun(trun, own, count))
  const samples = runs.flatMap(run => run.samples)
  return { trackId, decodeTime, baseOffset, isFromMoof: (flags & BASE_IS_MOOF) !== 0, runs, samples }
}

function readRun(trun: DataView, defaults: SampleDefaults, count: (samples: number) => void): SampleRun {
  const [flags, length, next] = [flagsOf(trun), trun.getUint32(4), fieldsFrom(trun, 8)]
  count(length)
  const dataOffset = flags & DATA_OFFSET ? next() | 0 : null
  const firstFlags = flags & FIRST_FLAGS ? next() : defaults.flags
  const samples = Array.from({ length }, (_, index) => ({
    duration: flags & DURATION ? next() : defaults.duration,
    size: flags & SIZE ? next() : defaults.size,
    flags: flags & FLAGS ? next() : index === 0 ? firstFlags : defaults.flags,
    shownAfter: flags & SHOWN_AFTER ? next() | 0 : 0,
  }))
  return { dataOffset, samples }
}

/** Reads one field of 32 bits after the other. */
function fieldsFrom(box: DataView, start: number): () => number {
  let at = start
  return () => {
    at += 4
    return box.getUint32(at - 4)
  }
}

/** Where the samples of a fragment lie in the file, run by run. @param moofAt where its `moof` begins */
export function* sampleRanges(
  tracks: readonly WrittenTrack[],
  moofAt: number,
): Generator<{ readonly offset: number; readonly length: number }, void> {
  let end = moofAt
  for (const { baseOffset, isFromMoof, runs } of tracks) {
    const base = baseOffset ?? moofAt
    if (baseOffset !== null || isFromMoof) end = base
    for (const { dataOffset, samples } of runs) {
      if (dataOffset !== null) end = base + dataOffset
      for (const { size } of samples) {
        yield { offset: end, length: size }
        end += size
      }
    }
  }
}

/** Numbers of samples by track, in a file of any origin; no sample is read. @throws BrokenBoxes */
export function countSamples(moof: DataView): { readonly trackId: number; readonly samples: number }[] {
  return readStrictly(() =>
    allBoxes(moof, 'traf', 'stop').map(traf => ({
      trackId: findBox(traf, ['tfhd'], 'stop')?.getUint32(4) ?? 0,
      samples: allBoxes(traf, 'trun', 'stop').reduce((sum, trun) => sum + trun.getUint32(4), 0),
    })),
  )
}

/** @param tracks whose media data follows right behind the `moof`, one track after the other */
export function writeFragment(sequence: number, tracks: readonly FragmentTrack[]): Uint8Array<ArrayBuffer> {
  const written = tracks.map(writeTrack)
  const header = writeBox('mfhd', writeInt32s(0, sequence))
  const moof = writeBox('moof', header, ...written.map(({ bytes }) => bytes))
  let dataAt = moof.byteLength + BOX_HEADER_BYTES
  let trackAt = BOX_HEADER_BYTES + header.byteLength
  for (const [index, { bytes, dataOffsetAt }] of written.entries()) {
    viewOf(moof).setInt32(trackAt + dataOffsetAt, dataAt)
    trackAt += bytes.byteLength
    dataAt += tracks[index]?.samples.reduce((sum, { size }) => sum + size, 0) ?? 0
  }
  return moof
}

const BOX_HEADER_BYTES = 8

/** Writes once what all samples share. `dataOffsetAt`: where in the box the offset of the media data belongs. */
function writeTrack({ trackId, decodeTime, samples }: FragmentTrack) {
  const shared = (field: keyof FragmentSample): number | null => {
    const value = samples[0]?.[field] ?? 0
    return samples.every(sample => sample[field] === value) ? value : null
  }
  const [duration, flags] = [shared('duration'), shared('flags')]
  const isDelayed = samples.some(({ shownAfter }) => shownAfter !== 0)
  const own = [duration === null ? DURATION : 0, SIZE, flags === null ? FLAGS : 0, isDelayed ? SHOWN_AFTER : 0]
  const has = own.reduce((sum, bit) => sum | bit, DATA_OFFSET)
  const defaults = [...(duration === null ? [] : [duration]), ...(flags === null ? [] : [flags])]
  const head = BASE_IS_MOOF | (duration === null ? 0 : TRACK_DURATION) | (flags === null ? 0 : TRACK_FLAGS)
  const tfhd = writeBox('tfhd', writeInt32s(head, trackId, ...defaults))
  const tfdt = writeBox('tfdt', writeInt32s(VERSION_1, Math.floor(decodeTime / 2 ** 32), decodeTime % 2 ** 32))
  const fields = samples.flatMap(sample => [
    ...(duration === null ? [sample.duration] : []),
    sample.size,
    ...(flags === null ? [sample.flags] : []),
    ...(isDelayed ? [sample.shownAfter] : []),
  ])
  const trun = writeBox('trun', writeInt32s(VERSION_1 | has, samples.length, 0, ...fields))
  const dataOffsetAt = BOX_HEADER_BYTES + tfhd.byteLength + tfdt.byteLength + BOX_HEADER_BYTES + 8
  return { bytes: writeBox('traf', tfhd, tfdt, trun), dataOffsetAt }
}

const VERSION_1 = 0x01_00_00_00

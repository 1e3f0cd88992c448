/** What is in a packaged track by its movie fragments alone, whoever wrote them: samples and their times. */
import { allBoxes, BrokenBoxes, findBox } from '../mp4/boxes.ts'
import { decodeTimeOf, defaultTicksOf, has, needed, trackClocks, type TrackClocks } from '../mp4/movie.ts'
import { FragmentScanner } from '../ladder/segment-scanner.ts'

export interface TrackFacts {
  readonly kind: 'video' | 'audio'
  readonly samples: number
  /** Decode times grow from sample to sample, and no sample is shown before it is decoded. */
  readonly isOrdered: boolean
  /** When the first of its samples is shown, and when the last one ends. */
  readonly startSeconds: number
  readonly endSeconds: number
}

interface Counted {
  readonly kind: 'video' | 'audio'
  readonly ticksPerSecond: number
  samples: number
  isOrdered: boolean
  lastDecode: number
  start: number
  end: number
}

/** Counts while fragments go by. */
export class PackageFacts {
  #clocks: TrackClocks = new Map()
  readonly #tracks = new Map<number, Counted>()

  /** In the order of the initialization segment. */
  get tracks(): TrackFacts[] {
    return Array.from(this.#tracks.values(), ({ ticksPerSecond, start, end, kind, samples, isOrdered }) => ({
      kind,
      samples,
      isOrdered,
      startSeconds: samples === 0 ? 0 : start / ticksPerSecond,
      endSeconds: samples === 0 ? 0 : end / ticksPerSecond,
    }))
  }

  /** @param moov what is in the box. @throws BrokenBoxes, RangeError */
  readMoov(moov: DataView): void {
    this.#clocks = trackClocks(moov)
    for (const [id, { isVideo, ticksPerSecond }] of this.#clocks) {
      const times = { lastDecode: Number.NEGATIVE_INFINITY, start: Infinity, end: Number.NEGATIVE_INFINITY }
      this.#tracks.set(id, { kind: isVideo ? 'video' : 'audio', ticksPerSecond, samples: 0, isOrdered: true, ...times })
    }
  }

  /** @param moof what is in the box. @throws BrokenBoxes, RangeError */
  readMoof(moof: DataView): void {
    for (const traf of allBoxes(moof, 'traf')) this.#readTrack(traf)
  }

  #readTrack(traf: DataView): void {
    const tfhd = needed(findBox(traf, 'tfhd'))
    const id = tfhd.getUint32(4)
    const track = this.#tracks.get(id)
    if (!track) throw new BrokenBoxes('A fragment is of an unknown track')
    const defaultTicks = defaultTicksOf(tfhd) ?? this.#clocks.get(id)?.defaultTicks ?? 0
    let decode = decodeTimeOf(traf)
    for (const trun of allBoxes(traf, 'trun')) decode = readRun(trun, { track, decode, defaultTicks })
  }
}

/** The same of a whole file, for whoever has it in one piece. */
export function factsOf(file: Uint8Array): TrackFacts[] {
  const facts = new PackageFacts()
  const scanner = new FragmentScanner(facts)
  scanner.push(file)
  scanner.end()
  return facts.tracks
}

interface Run {
  readonly track: Counted
  readonly decode: number
  readonly defaultTicks: number
}

/** @returns when the sample behind the run is decoded */
function readRun(trun: DataView, { track, decode: begin, defaultTicks }: Run): number {
  const flags = trun.getUint32(0) & 0xff_ff_ff
  const width = (...bits: readonly number[]): number => 4 * bits.filter(bit => has(flags, bit)).length
  const sampleBytes = width(0x1_00, 0x2_00, 0x4_00, 0x8_00)
  let at = 8 + width(0x1, 0x4)
  let decode = begin
  for (let sample = 0; sample < trun.getUint32(4); sample++, at += sampleBytes) {
    const ticks = has(flags, 0x1_00) ? trun.getUint32(at) : defaultTicks
    const shownAfter = has(flags, 0x8_00) ? trun.getInt32(at + sampleBytes - 4) : 0
    track.samples++
    track.isOrdered &&= decode > track.lastDecode && shownAfter >= 0
    track.lastDecode = decode
    track.start = Math.min(track.start, decode + shownAfter)
    track.end = Math.max(track.end, decode + shownAfter + ticks)
    decode += ticks
  }
  return decode
}

import type { RandomSource } from '../../client/api/source.ts'
import { boxesIn } from '../original/boxes.ts'
import { boxesOfFile } from '../mp4/top-level-boxes.ts'
import type { DeclaredFilm, DeclaredTrack, Edit } from './declared.ts'

/** Before the index and, for a file that may be split, up to its first fragment. */
const MAX_BOXES_TO_OPEN = 10_000
/** A film of a day in fragments of a frame each has some five million; nobody waits for those to be counted. */
const MAX_BOXES_TO_COUNT = 1_000_000
/** Sample entries of ISO/IEC 23001-7. */
const ENCRYPTED: ReadonlySet<string> = new Set(['encv', 'enca'])
const KINDS: Readonly<Record<string, DeclaredTrack['kind']>> = { vide: 'video', soun: 'audio' }

/** What the index of an MP4 or QuickTime file says; `null` when it has none that can be read. */
export async function mp4Facts(source: RandomSource, signal: AbortSignal): Promise<DeclaredFilm | null> {
  for await (const { type, startsAt, bytes, body } of boxesOfFile(source, { most: MAX_BOXES_TO_OPEN, signal })) {
    if (type !== 'moov') continue
    const moov = await body()
    if (!moov) return null
    const tracks = tracksOf(moov)
    const from = bytes === null ? source.sizeBytes : startsAt + bytes
    const isFragmented = inside(moov, 'mvex').length > 0
    const hasSamples = tracks.some(({ samples }) => (samples ?? 0) > 0)
    return {
      tracks,
      endSeconds: null,
      isSplit: isFragmented && hasSamples && (await hasFragment(source, { from, signal })),
      countSamples: async () => {
        const counts = new Map(tracks.map(({ id, samples }) => [id, samples ?? 0]))
        return isFragmented ? await addFragments(counts, source, { from, signal }) : counts
      },
    }
  }
  return null
}

interface Rest {
  /** Behind the index. */
  readonly from: number
  readonly signal: AbortSignal
}

async function hasFragment(source: RandomSource, rest: Rest): Promise<boolean> {
  for await (const { type } of boxesOfFile(source, { ...rest, most: MAX_BOXES_TO_OPEN })) {
    if (type === 'moof') return true
  }
  return false
}

async function addFragments(counts: Map<number, number>, source: RandomSource, rest: Rest) {
  let boxes = 0
  for await (const { type, body } of boxesOfFile(source, { ...rest, most: MAX_BOXES_TO_COUNT })) {
    if (++boxes === MAX_BOXES_TO_COUNT) return null
    const moof = type === 'moof' ? await body() : null
    for (const traf of moof ? inside(moof, 'traf') : []) {
      const id = first(traf, 'tfhd')?.getUint32(4) ?? 0
      const samples = inside(traf, 'trun').reduce((sum, trun) => sum + trun.getUint32(4), 0)
      counts.set(id, (counts.get(id) ?? 0) + samples)
    }
  }
  return counts
}

function tracksOf(moov: DataView): DeclaredTrack[] {
  const mvhd = first(moov, 'mvhd')
  const movieTicks = mvhd ? timescaleOf(mvhd) : 1
  return inside(moov, 'trak').flatMap(trak => trackOf(trak, movieTicks) ?? [])
}

function trackOf(trak: DataView, movieTicks: number): DeclaredTrack | null {
  const [tkhd, mdia] = [first(trak, 'tkhd'), first(trak, 'mdia')]
  const [mdhd, hdlr] = [mdia && first(mdia, 'mdhd'), mdia && first(mdia, 'hdlr')]
  if (!tkhd || !mdia || !mdhd || !hdlr) return null
  const kind = KINDS[nameAt(hdlr, 8)]
  if (!kind) return null
  const minf = first(mdia, 'minf')
  const stbl = minf && first(minf, 'stbl')
  const [stsd, sizes] = [stbl && first(stbl, 'stsd'), stbl && (first(stbl, 'stsz') ?? first(stbl, 'stz2'))]
  const edts = first(trak, 'edts')
  const elst = edts && first(edts, 'elst')
  const codec = stsd && stsd.byteLength >= 16 ? nameAt(stsd, 12) : ''
  return {
    kind,
    id: tkhd.getUint32(isWide(tkhd) ? 20 : 12),
    codec,
    samples: sizes ? sizes.getUint32(8) : 0,
    edits: elst ? editsOf(elst, { movieTicks, mediaTicks: timescaleOf(mdhd) }) : [],
    tickSeconds: 1 / timescaleOf(mdhd),
    editTickSeconds: 1 / movieTicks,
    isEncoded: ENCRYPTED.has(codec),
  }
}

interface Clocks {
  readonly movieTicks: number
  readonly mediaTicks: number
}

function editsOf(elst: DataView, { movieTicks, mediaTicks }: Clocks): Edit[] {
  const wide = isWide(elst)
  const entryBytes = wide ? 20 : 12
  const count = Math.min(elst.getUint32(4), Math.floor((elst.byteLength - 8) / entryBytes))
  return Array.from({ length: count }, (_, index) => {
    const at = 8 + index * entryBytes
    const ticks = wide ? Number(elst.getBigUint64(at)) : elst.getUint32(at)
    const mediaTime = wide ? Number(elst.getBigInt64(at + 8)) : elst.getInt32(at + 4)
    const rate = elst.getInt32(at + entryBytes - 4) / 0x1_00_00
    return { seconds: ticks / movieTicks, mediaSeconds: mediaTime < 0 ? null : mediaTime / mediaTicks, rate }
  })
}

const isWide = (fullBox: DataView): boolean => fullBox.getUint8(0) === 1

/** Of an `mvhd` or `mdhd`. */
const timescaleOf = (box: DataView): number => box.getUint32(isWide(box) ? 20 : 12) || 1

function nameAt(view: DataView, at: number): string {
  return String.fromCharCode(...[0, 1, 2, 3].map(place => view.getUint8(at + place)))
}

function inside(view: DataView, wanted: string): DataView[] {
  return Array.from(boxesIn(view)).flatMap(({ type, body }) => (type === wanted ? [body] : []))
}

const first = (view: DataView, wanted: string): DataView | null => inside(view, wanted)[0] ?? null

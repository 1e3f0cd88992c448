import type { RandomSource } from '../../client/api/source-and-sink.ts'
import { countSamples } from '../mp4/fragment.ts'
import { readIndex, type IndexedTrack, type MovieIndex } from '../mp4/movie.ts'
import { boxesOfFile } from '../mp4/top-level-boxes.ts'
import type { DeclaredFilm, DeclaredTrack } from './declared.ts'

/** Before the index and, for a file that may be split, up to its first fragment. */
const MAX_BOXES_TO_OPEN = 10_000
/** A film of a day in fragments of a frame each has some five million; counting those would take minutes. */
const MAX_BOXES_TO_COUNT = 1_000_000
/** Sample entries of ISO/IEC 23001-7. */
const ENCRYPTED: ReadonlySet<string> = new Set(['encv', 'enca'])
const KINDS: Readonly<Record<string, DeclaredTrack['kind']>> = { vide: 'video', soun: 'audio' }

/**
 * What the index of an MP4 or QuickTime file says; `null` when it has none that can be read.
 * @throws BrokenBoxes
 */
export async function mp4Facts(source: RandomSource, signal: AbortSignal): Promise<DeclaredFilm | null> {
  for await (const { type, startsAt, bytes, readContent } of boxesOfFile(source, { most: MAX_BOXES_TO_OPEN, signal })) {
    if (type !== 'moov') continue
    const moov = await readContent()
    if (!moov) return null
    const index = readIndex(moov)
    const tracks = index.tracks.flatMap(track => declaredTrack(track, index) ?? [])
    const from = bytes === null ? source.sizeBytes : startsAt + bytes
    const { isFragmented } = index
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

function declaredTrack(track: IndexedTrack, movie: MovieIndex): DeclaredTrack | null {
  const { id, handler, codec, samples, edits } = track
  const kind = KINDS[handler]
  if (!kind) return null
  return {
    kind,
    id,
    codec,
    samples,
    edits: edits.map(({ ticks, mediaTime, rate }) => ({
      seconds: ticks / movie.ticksPerSecond,
      mediaSeconds: mediaTime === null ? null : mediaTime / track.ticksPerSecond,
      rate,
    })),
    tickSeconds: 1 / track.ticksPerSecond,
    editTickSeconds: 1 / movie.ticksPerSecond,
    isEncoded: ENCRYPTED.has(codec),
  }
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
  for await (const { type, readContent } of boxesOfFile(source, { ...rest, most: MAX_BOXES_TO_COUNT })) {
    if (++boxes === MAX_BOXES_TO_COUNT) return null
    const moof = type === 'moof' ? await readContent() : null
    for (const { trackId, samples } of moof ? countSamples(moof) : [])
      counts.set(trackId, (counts.get(trackId) ?? 0) + samples)
  }
  return counts
}

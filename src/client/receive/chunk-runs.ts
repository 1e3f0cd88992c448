import { chunkOfPlain } from '../../sealing/index.ts'
import type { PlainRange } from '../api/source-and-sink.ts'
import type { ChunkRun, MediaReader } from './media-reader.ts'

/** Sealed bytes of a run at most: what is fetched in one request. As large as a part, and aligned like one. */
export const RUN_BYTES = 8 * 1024 * 1024

/** Chunks of `chunkBytes` in a run of `runBytes`. */
export function chunksPerRun(chunkBytes: number, runBytes: number): number {
  return Math.max(1, Math.floor(runBytes / chunkBytes))
}

/**
 * All chunks whose plaintext is not covered by `finished`, as runs cut at multiples of a run's size. Made one by one:
 * a forged length never becomes a list of that length.
 */
export function* missingRuns(
  item: MediaReader,
  finished: readonly PlainRange[],
  runBytes = RUN_BYTES,
): Generator<ChunkRun, void> {
  const perRun = chunksPerRun(item.chunkBytes, runBytes)
  const isFinished = coverage(item, finished)
  let first: number | null = null
  for (let chunk = 0; chunk < item.chunks; chunk += 1) {
    const isMissing = !isFinished(chunk)
    if (first !== null && (!isMissing || chunk % perRun === 0)) {
      yield { first, last: chunk - 1 }
      first = null
    }
    if (isMissing) first ??= chunk
  }
  if (first !== null) yield { first, last: item.chunks - 1 }
}

/** The chunks that cover a plaintext range, as runs; none for an empty range. */
export function* runsOfRange(item: MediaReader, range: PlainRange, runBytes: number): Generator<ChunkRun, void> {
  const perRun = chunksPerRun(item.chunkBytes, runBytes)
  if (range.start >= range.end) return
  const last = chunkOfPlain(range.end - 1, item.chunkBytes)
  for (let first = chunkOfPlain(range.start, item.chunkBytes); first <= last;) {
    const runEnd = Math.min(last, (Math.floor(first / perRun) + 1) * perRun - 1)
    yield { first, last: runEnd }
    first = runEnd + 1
  }
}

/** The plaintext of a run, padding left out. */
export function plainOfRun(item: MediaReader, run: ChunkRun): PlainRange {
  const end = run.last + 1 < item.chunks ? item.plainStart(run.last + 1) : item.bytes
  return { start: item.plainStart(run.first), end: Math.max(end, item.plainStart(run.first)) }
}

/**
 * Whether a chunk's plaintext lies in `finished` whole. A chunk of padding alone never does: it is read each time, for
 * it is what proves that the item ends there.
 */
function coverage(item: MediaReader, finished: readonly PlainRange[]): (chunk: number) => boolean {
  const ranges = merged(finished)
  return chunk => {
    const { start, end } = plainOfRun(item, { first: chunk, last: chunk })
    return end > start && ranges.some(range => range.start <= start && end <= range.end)
  }
}

/** Overlapping and touching ranges as one, ascending. */
export function merged(ranges: readonly PlainRange[]): PlainRange[] {
  const result: { start: number; end: number }[] = []
  for (const range of ranges.filter(({ start, end }) => end > start).sort((a, b) => a.start - b.start)) {
    const last = result.at(-1)
    if (last && range.start <= last.end) last.end = Math.max(last.end, range.end)
    else result.push({ ...range })
  }
  return result
}

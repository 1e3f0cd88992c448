/** What tests of the list of runs share. */
import { RunListReader } from '../../src/client/original/run-list-reader.ts'
import type { RandomSource } from '../../src/client/api/source-and-sink.ts'
import { nodeSuite } from '../../src/sealing/node-suite.ts'
import { describeOriginal } from '../../src/video/original/describe-original.ts'
import { SampleIndex } from '../../src/video/original/sample-index.ts'
import { concat } from './concat.ts'

/** Bytes as a source of which ranges are read. */
export function sourceOf(bytes: Uint8Array): RandomSource {
  return { sizeBytes: bytes.byteLength, read: (start, end) => Promise.resolve(bytes.slice(start, end)) }
}

/** The list of runs by which `original` is made of `film`, and the share of literals. */
export async function describe(
  original: RandomSource,
  film: Iterable<Uint8Array>,
): Promise<{ list: Uint8Array<ArrayBuffer>; literalShare: number }> {
  const index = new SampleIndex(nodeSuite)
  for (const piece of film) index.push(piece)
  index.end()
  const { runs, literalShare } = describeOriginal(original, index, {
    suite: nodeSuite,
    signal: new AbortController().signal,
  })
  return { list: concat(await Array.fromAsync(runs)), literalShare: await literalShare }
}

/** Cuts bytes into pieces of the given lengths, over and over. */
export function* cut(bytes: Uint8Array, lengths: readonly number[]): Generator<Uint8Array> {
  for (let at = 0, turn = 0; at < bytes.byteLength; turn += 1) {
    const length = lengths[turn % lengths.length] ?? bytes.byteLength
    yield bytes.subarray(at, at + length)
    at += length
  }
}

/** Puts a file together, the plainest way. */
export function rebuild(
  list: Uint8Array,
  film: Uint8Array,
  { bytes, pieces = [list.byteLength] }: { bytes: number; pieces?: readonly number[] },
): { file: Uint8Array<ArrayBuffer>; sha256: Uint8Array; runs: number } {
  const found: Uint8Array[] = []
  const reader = new RunListReader({
    bytes,
    sourceBytes: film.byteLength,
    onRun: ({ copy, from, length }) => found.push((copy ? film : list).subarray(from, from + length)),
  })
  for (const piece of cut(list, pieces)) reader.push(piece)
  const sha256 = reader.end()
  return { file: concat(found), sha256, runs: found.length }
}

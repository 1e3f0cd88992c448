/**
 * Delivers the file that an item was made of, wherever the item's own bytes would have been delivered. It is made in
 * pieces, each from the ranges of the two media that it needs, so that what is finished, gone on with, reported and
 * written are ranges of the file, as with any other item.
 */
import { SealiftError } from '../../protocol/errors.ts'
import type { CryptoSuite } from '../../sealing/index.ts'
import type { DownloadResume, PlainRange, RandomSink, RandomSource, RandomStore } from '../api/source-and-sink.ts'
import { TaskGroup } from '../concurrency/task-group.ts'
import { damagedMedia } from '../manifest/media-errors.ts'
import type { OriginalFile } from './original-file.ts'
import { merged } from './chunk-runs.ts'

const PIECE_BYTES = 8 * 1024 * 1024
/** What a file is read in to be compared. */
const READ_BYTES = 4 * 1024 * 1024

export interface OriginalDownload {
  readonly file: OriginalFile
  readonly sink: RandomSink
  readonly resume: Pick<DownloadResume, 'finished' | 'onFinished'> | undefined
  /** Pieces at once. */
  readonly parallel: number
  readonly moved: (bytes: number) => void
}

/** Writes what is missing of a file, its pieces in any order. */
export async function downloadOriginal(download: OriginalDownload, signal: AbortSignal): Promise<void> {
  const { file, resume, parallel } = download
  const pieces = missingPieces(file, merged(resume?.finished ?? []))
  const group = new TaskGroup(signal)
  for (let worker = 0; worker < parallel; worker += 1) {
    group.spawn(async inner => {
      for (let next = pieces.next(); next.done !== true; next = pieces.next()) {
        await downloadPiece(download, next.value, inner)
      }
    })
  }
  await group.join()
}

async function downloadPiece(
  { file, sink, resume, moved }: OriginalDownload,
  piece: PlainRange,
  signal: AbortSignal,
): Promise<void> {
  const bytes = await file.read(piece, moved, signal)
  await sink.write(bytes, piece.start)
  // The end of the download reports the only piece of a small file.
  if (piece.end - piece.start < file.bytes) await resume?.onFinished(piece)
}

/** What lies between the finished ranges, which are ascending and apart. */
function* missingPieces(file: OriginalFile, finished: readonly PlainRange[]): Generator<PlainRange, void> {
  let start = 0
  for (const range of finished) {
    yield* file.pieces({ start, end: range.start }, PIECE_BYTES)
    start = Math.max(start, range.end)
  }
  yield* file.pieces({ start, end: file.bytes }, PIECE_BYTES)
}

export interface OriginalRead {
  readonly file: OriginalFile
  readonly range: PlainRange
  /** Read-ahead takes `parallel` times as much memory. */
  readonly pieceBytes: number
  readonly parallel: number
  readonly suite: CryptoSuite
}

/**
 * A range of a file, in order, while the next pieces are being fetched. A complete file is hashed meanwhile, and its
 * end is reached only with the hash of its sender.
 */
export async function* orderedOriginal(
  { file, range, pieceBytes, parallel, suite }: OriginalRead,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const isWhole = range.start === 0 && range.end >= file.bytes
  const hash = isWhole ? suite.sha256() : null
  const group = new TaskGroup(signal)
  const pieces = file.pieces(range, pieceBytes)
  const ahead: Promise<Uint8Array<ArrayBuffer>>[] = []
  const fetchNext = (): void => {
    const next = pieces.next()
    if (next.done === true) return
    const piece = file.read(next.value, () => undefined, group.signal)
    ahead.push(piece)
    group.spawn(() => piece)
  }
  try {
    for (let count = 0; count < parallel; count += 1) fetchNext()
    for (let piece = ahead.shift(); piece; piece = ahead.shift()) {
      const bytes = await piece
      hash?.update(bytes)
      fetchNext()
      yield bytes
    }
    await group.join()
    if (hash) file.verify(hash)
  } finally {
    group.fail(new SealiftError('aborted', 'The reader stopped'))
    await group.join().catch(() => undefined)
  }
}

interface Comparison<T> {
  readonly file: OriginalFile
  readonly suite: Pick<CryptoSuite, 'sha256'>
  readonly source: T
}

/** Whether a source holds the file, by its hash. */
export async function holdsOriginal(
  { file, source, suite }: Comparison<RandomSource>,
  signal: AbortSignal,
): Promise<boolean> {
  if (source.sizeBytes !== file.bytes) return false
  const digest = await digestOf({ file, source, suite }, signal)
  return digest.every((byte, at) => byte === file.sha256[at])
}

/** @throws damaged_media unless a store that was written holds the file, by its hash */
export async function verifyOriginal(
  { file, store, suite }: Omit<Comparison<never>, 'source'> & { readonly store: RandomStore },
  signal: AbortSignal,
): Promise<void> {
  const digest = await digestOf({ file, source: store, suite }, signal)
  if (digest.some((byte, at) => byte !== file.sha256[at])) throw damagedMedia()
}

async function digestOf(
  { file, source, suite }: Comparison<Pick<RandomSource, 'read'>>,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const hash = suite.sha256()
  for (let start = 0; start < file.bytes; start += READ_BYTES) {
    hash.update(await source.read(start, Math.min(file.bytes, start + READ_BYTES), signal))
  }
  return hash.digest()
}

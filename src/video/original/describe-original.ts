import { MAX_COPIES } from '../../client/original/run-list.ts'
import { RunListWriter } from '../../client/original/run-list-writer.ts'
import type { RandomSource } from '../../client/api/source-and-sink.ts'
import { unlessAborted } from '../../client/concurrency/abort.ts'
import { streamOf } from '../../client/bytes/buffers.ts'
import type { CryptoSuite } from '../../sealing/index.ts'
import type { OriginalMaker } from '../film-maker.ts'
import { SampleIndex } from './sample-index.ts'
import { SAMPLE_HEAD_BYTES, SampleFinder } from './sample-table.ts'
import type { SampleTable } from './sample-table.ts'

/** Bytes that are searched at a time. */
const SCAN_BYTES = 64 * 1024

export interface DescribeOptions {
  readonly suite: Pick<CryptoSuite, 'sha256'>
  readonly signal: AbortSignal
}

export interface DescribedOriginal {
  /** The list of runs; begins when the index has ended. */
  readonly runs: ReadableStream<Uint8Array<ArrayBuffer>>
  /** How much of the file is not in the film, from 0 to 1; resolves when the list has been read to its end. */
  readonly literalShare: Promise<number>
}

/**
 * Describes how a file is rebuilt from the film that was made of it, whatever its container: finds the film's samples
 * in the file from front to back, and writes the other bytes into the list. Reads the file once.
 * @param source the file; the caller closes it
 * @param index of all samples of the film, once the film has ended
 */
export function describeOriginal(
  source: RandomSource,
  index: SampleIndex,
  { suite, signal }: DescribeOptions,
): DescribedOriginal {
  const share = Promise.withResolvers<number>()
  share.promise.catch(() => undefined)
  const runs = streamOf(signal, async function* (inner) {
    try {
      await unlessAborted(index.ended, inner)
      const description = new Description(source, index, suite)
      yield* description.make(inner)
      share.resolve(description.literalShare)
    } catch (error) {
      share.reject(error)
      throw error
    }
  })
  return { runs, literalShare: share.promise }
}

/**
 * Describes how files are rebuilt from the films that were made of them by copying: see "Original" in `docs/format.md`.
 * Reads the file once more, when all of the film has come.
 */
export function originalMaker(suite: Pick<CryptoSuite, 'sha256'>): OriginalMaker {
  return {
    watch: (film, file, signal) => {
      const index = new SampleIndex(suite)
      return { bytes: index.watch(film), runs: describeOriginal(file, index, { suite, signal }).runs }
    },
  }
}

class Description {
  readonly #source: RandomSource
  readonly #finder: SampleFinder
  readonly #window: SlidingWindow
  readonly #writer: RunListWriter
  readonly #hash
  #pieces: Uint8Array<ArrayBuffer>[] = []
  #literalBytes = 0
  #copiedBytes = 0
  /** Of all samples of the film. */
  readonly #sampleBytes: number
  /** Bytes from here up to the current position are no sample. */
  #literalFrom = 0

  constructor(source: RandomSource, index: SampleIndex, suite: Pick<CryptoSuite, 'sha256'>) {
    this.#source = source
    this.#finder = new SampleFinder(index.table, suite)
    this.#sampleBytes = sampleBytesOf(index.table)
    this.#hash = suite.sha256()
    this.#window = new SlidingWindow(source, bytes => this.#hash.update(bytes))
    this.#writer = new RunListWriter(source.sizeBytes, piece => this.#pieces.push(piece))
  }

  get literalShare(): number {
    return this.#source.sizeBytes === 0 ? 0 : this.#literalBytes / this.#source.sizeBytes
  }

  async *make(signal: AbortSignal): AsyncGenerator<Uint8Array<ArrayBuffer>> {
    const { sizeBytes } = this.#source
    await this.#source.checkUnchanged?.()
    for (let at = 0; at < sizeBytes;) {
      if (!this.#isWorthSearching()) break
      at = await this.#step(at, signal)
      yield* this.#takePieces()
    }
    yield* this.#rest(signal)
    await this.#source.checkUnchanged?.()
    this.#writer.finish(this.#hash.digest())
    yield* this.#takePieces()
  }

  /** Searches from `at`; returns the next position. */
  async #step(at: number, signal: AbortSignal): Promise<number> {
    const end = Math.min(this.#source.sizeBytes, at + SCAN_BYTES)
    await this.#hold(end, signal)
    const candidate = at + this.#finder.candidate(this.#window.view(at, end), 0)
    if (candidate > end - SAMPLE_HEAD_BYTES) return this.#advance(candidate, end)
    const found = await this.#finder.at(candidate, (position, length) => this.#bytes(position, length, signal))
    if (!found) return this.#advance(candidate + 1, end)
    this.#writeLiteral(candidate)
    this.#writer.copy(found.offset, found.length)
    this.#copiedBytes += found.length
    this.#literalFrom = candidate + found.length
    return this.#literalFrom
  }

  /** No sample begins before `at`. */
  #advance(at: number, end: number): number {
    const next = end === this.#source.sizeBytes && at > end - SAMPLE_HEAD_BYTES ? end : at
    if (next - this.#literalFrom >= SCAN_BYTES || next === this.#source.sizeBytes) this.#writeLiteral(next)
    return next
  }

  #writeLiteral(end: number): void {
    const length = end - this.#literalFrom
    if (length === 0) return
    this.#writer.literal(length)
    this.#writer.bytes(this.#window.view(this.#literalFrom, end))
    this.#literalBytes += length
    this.#literalFrom = end
  }

  /** All bytes that are left, as one literal. */
  async *#rest(signal: AbortSignal): AsyncGenerator<Uint8Array<ArrayBuffer>> {
    const { sizeBytes } = this.#source
    const length = sizeBytes - this.#literalFrom
    if (length === 0) return
    this.#writer.literal(length)
    this.#literalBytes += length
    while (this.#literalFrom < sizeBytes) {
      const end = Math.min(sizeBytes, this.#literalFrom + SCAN_BYTES)
      await this.#hold(end, signal)
      this.#writer.bytes(this.#window.view(this.#literalFrom, end))
      this.#literalFrom = end
      yield* this.#takePieces()
    }
  }

  async #bytes(position: number, length: number, signal: AbortSignal): Promise<Uint8Array | null> {
    const end = position + length
    if (end > this.#source.sizeBytes) return null
    await this.#hold(end, signal)
    return this.#window.view(position, end)
  }

  async #hold(end: number, signal: AbortSignal): Promise<void> {
    if (!this.#window.holds(end)) await this.#window.fill(this.#literalFrom, end, signal)
  }

  /**
   * Bounds the search of a hostile file that resembles the samples without holding them, and of one that holds them
   * many times: readers refuse more copies.
   */
  #isWorthSearching(): boolean {
    if (this.#copiedBytes > (MAX_COPIES - 1) * this.#sampleBytes) return false
    return this.#writer.hasRoom && this.#finder.hashedInVain <= 2 * this.#source.sizeBytes
  }

  *#takePieces(): Generator<Uint8Array<ArrayBuffer>> {
    yield* this.#pieces.splice(0)
  }
}

function sampleBytesOf(table: SampleTable): number {
  let bytes = 0
  for (let sample = 0; sample < table.length; sample += 1) bytes += table.lengthOf(sample)
  return bytes
}

/** Read at once. */
const READ_BYTES = 4 * 1024 * 1024

/** A source read once from front to back, of which a moving range is held. */
class SlidingWindow {
  readonly #source: RandomSource
  readonly #onRead: (bytes: Uint8Array) => void
  #buffer = new Uint8Array(4 * READ_BYTES)
  /** Range of the source that the buffer holds. */
  #start = 0
  #end = 0

  /** @param onRead sees all bytes, in order, once */
  constructor(source: RandomSource, onRead: (bytes: Uint8Array) => void) {
    this.#source = source
    this.#onRead = onRead
  }

  /** Whether bytes up to `end` are held. */
  holds(end: number): boolean {
    return end <= this.#end
  }

  /** Reads until bytes up to `end` are held, and drops those before `keepFrom`. */
  async fill(keepFrom: number, end: number, signal: AbortSignal): Promise<void> {
    this.#dropBefore(keepFrom, end)
    while (this.#end < end) await this.#read(signal)
  }

  /** Held bytes; good until the next `fill`. */
  view(start: number, end: number): Uint8Array {
    return this.#buffer.subarray(start - this.#start, Math.min(end, this.#end) - this.#start)
  }

  #dropBefore(keepFrom: number, end: number): void {
    const kept = this.#buffer.subarray(keepFrom - this.#start, this.#end - this.#start)
    const needed = end - keepFrom + READ_BYTES
    if (needed > this.#buffer.byteLength) {
      const grown = new Uint8Array(needed)
      grown.set(kept)
      this.#buffer = grown
    } else this.#buffer.set(kept)
    this.#start = keepFrom
  }

  async #read(signal: AbortSignal): Promise<void> {
    const end = Math.min(this.#source.sizeBytes, this.#end + READ_BYTES)
    const target = this.#buffer.subarray(this.#end - this.#start, end - this.#start)
    if (this.#source.readInto) await this.#source.readInto(target, this.#end, signal)
    else target.set(await this.#source.read(this.#end, end, signal))
    this.#onRead(target)
    this.#end = end
  }
}

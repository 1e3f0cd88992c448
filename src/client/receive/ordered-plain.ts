import type { LimitFunction } from 'p-limit'

import { SealiftError } from '../../protocol/errors.ts'
import type { PlainRange } from '../api/source-and-sink.ts'
import { TaskGroup } from '../concurrency/task-group.ts'
import { runsOfRange } from './chunk-runs.ts'
import type { ChunkRun, MediaReader } from './media-reader.ts'

export interface OrderedRead {
  readonly item: MediaReader
  readonly range: PlainRange
  /** Sealed bytes of a run: read-ahead takes `parallel` times as much memory. */
  readonly runBytes: number
  readonly parallel: number
  readonly ranges: LimitFunction
}

/**
 * The plaintext of a range, in order, while the next runs are being fetched. The last chunk of an item is always among
 * the runs of its whole range, so that the whole is never called whole without it.
 */
export async function* orderedPlain(read: OrderedRead, signal: AbortSignal): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const { item, range } = read
  const group = new TaskGroup(signal)
  const runs = isWhole(item, range) ? wholeRuns(read) : runsOfRange(item, range, read.runBytes)
  const ahead: RunBuffer[] = []
  const fetchNext = (): void => {
    const next = runs.next()
    if (next.done === true) return
    const buffer = new RunBuffer()
    ahead.push(buffer)
    group.spawn(inner => fetchRun({ read, run: next.value, buffer }, inner))
  }
  try {
    for (let count = 0; count < read.parallel; count += 1) fetchNext()
    for (let buffer = ahead.shift(); buffer; buffer = ahead.shift()) {
      for await (const { bytes, at } of buffer) {
        const part = bytes.subarray(Math.max(0, range.start - at), Math.max(0, range.end - at))
        if (part.byteLength > 0) yield part
      }
      fetchNext()
    }
    await group.join()
  } finally {
    group.fail(new SealiftError('aborted', 'The reader stopped'))
    await group.join().catch(() => undefined)
  }
}

function isWhole(item: MediaReader, range: PlainRange): boolean {
  return range.start === 0 && range.end >= item.bytes
}

function* wholeRuns({ item, runBytes }: OrderedRead): Generator<ChunkRun, void> {
  const perRun = Math.max(1, Math.floor(runBytes / item.chunkBytes))
  for (let first = 0; first < item.chunks; first += perRun) {
    yield { first, last: Math.min(item.chunks, first + perRun) - 1 }
  }
}

async function fetchRun(
  { read, run, buffer }: { read: OrderedRead; run: ChunkRun; buffer: RunBuffer },
  signal: AbortSignal,
): Promise<void> {
  try {
    await read.ranges(() => read.item.read(run, (bytes, at) => buffer.push({ bytes, at }), signal))
    buffer.end()
  } catch (error) {
    buffer.fail(error)
    throw error
  }
}

interface PlainPiece {
  readonly bytes: Uint8Array<ArrayBuffer>
  readonly at: number
}

/** What has come of one run; read once, while it comes. */
class RunBuffer implements AsyncIterable<PlainPiece> {
  readonly #pieces: PlainPiece[] = []
  #ended = false
  #failure: { readonly error: unknown } | null = null
  #wake: () => void = () => undefined

  push(piece: PlainPiece): void {
    this.#pieces.push(piece)
    this.#wake()
  }

  end(): void {
    this.#ended = true
    this.#wake()
  }

  fail(error: unknown): void {
    this.#failure = { error }
    this.#wake()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<PlainPiece> {
    for (;;) {
      const piece = this.#pieces.shift()
      if (piece) yield piece
      else if (this.#failure) throw this.#failure.error
      else if (this.#ended) return
      else await new Promise<void>(resolve => (this.#wake = resolve))
    }
  }
}

import { slicesOf } from './sealed-source.ts'
import { TAG_BYTES } from './constants.ts'
import { chunkStart, plainCapacity, sealedChunkCount, sealedRangeFor, sealedRangeOfChunk } from './layout.ts'
import type { ByteRange, SealedRange } from './layout.ts'
import type { Opener } from './opener.ts'
import type { SealedSource } from './sealed-source.ts'
import { damaged } from './sealing-error.ts'
import { Slicer } from './slicer.ts'
import type { Bytes } from './suite.ts'

/** Which plaintext to open, and from what. */
export interface OpenRangeOptions extends SealedSource {
  readonly opener: Opener
  /** The plaintext bytes wanted; padding counts as plaintext here. */
  readonly range: ByteRange
  /**
   * The whole length of header and ciphertext: from the manifest, or one that `provePlainLength` has confirmed. Leave
   * it out while the sender does not know it yet.
   */
  readonly sealedBytes?: number | undefined
}

/**
 * The plaintext of a range, piece by piece, with one call of `read` for exactly the chunks that cover it. The SDK reads
 * media items by its own `MediaReader`, which retries and resumes; this is for apps with their own storage. Nothing
 * leaves before its chunk is authenticated at its place; several chunks are opened at once, as `opener.suite` allows.
 *
 * A range that ends before the last chunk says nothing of the media's length: `sealedBytes` is then taken on trust,
 * and a wrong one can only lead to a refusal, never to other plaintext. Without `sealedBytes` the range may reach past
 * the end: the pieces then stop behind the chunk that authenticates as the last one.
 *
 * Stopping the iteration, or aborting `signal`, aborts the signal that `read` was given.
 * @throws {SealingError} `damaged`; `invalid_argument` for a range outside the plaintext
 */
export async function* openRange(options: OpenRangeOptions): AsyncGenerator<Bytes, void> {
  const { opener, range } = options
  const covering = sealedRangeFor(range, options.sealedBytes, opener.chunkBytes)
  if (range.start === range.end) return
  const stop = new AbortController()
  const signal = options.signal === undefined ? stop.signal : AbortSignal.any([options.signal, stop.signal])
  const end = new RangeEnd(covering.lastChunk)
  try {
    for await (const chunk of inOrder(openedChunks(options, covering, signal), opener.suite.parallel)) {
      end.see(chunk)
      const wanted = within(chunk, range, opener.chunkBytes)
      if (wanted.byteLength > 0) yield wanted
    }
    end.check()
  } finally {
    stop.abort()
  }
}

interface OpenedChunk {
  readonly index: number
  readonly last: boolean
  readonly plain: Bytes
}

async function* openedChunks(
  options: OpenRangeOptions,
  covering: SealedRange,
  signal: AbortSignal,
): AsyncGenerator<Pending<OpenedChunk>, void> {
  const { firstChunk, lastChunk, start, end } = covering
  const openPiece = pieceOpener(options)
  const slicer = new Slicer({ sizeOf: piece => sealedSizeOf(firstChunk + piece, options), holdsBack: false })
  signal.throwIfAborted()
  for await (const slice of slicesOf(await options.read(start, end, signal), signal)) {
    for (const { index, bytes } of slicer.push(slice)) {
      if (firstChunk + index > lastChunk) throw damaged()
      yield pending(openPiece(firstChunk + index, bytes))
    }
  }
  const rest = slicer.end()
  if (rest.bytes.byteLength === 0) return
  // With a known length, every chunk has its size: a shorter one was cut, even if it would authenticate.
  if (options.sealedBytes !== undefined || firstChunk + rest.index > lastChunk) throw damaged()
  yield pending(openPiece(firstChunk + rest.index, rest.bytes))
}

/** Opens a chunk as what it must be; while the length is unknown, as what it can be. */
function pieceOpener({
  opener,
  sealedBytes,
}: OpenRangeOptions): (index: number, sealed: Uint8Array) => Promise<OpenedChunk> {
  const openAs = async (index: number, sealed: Uint8Array, last: boolean): Promise<OpenedChunk> => ({
    index,
    last,
    plain: await opener.openChunk(index, sealed, last),
  })
  if (sealedBytes !== undefined) {
    const finalChunk = sealedChunkCount(sealedBytes, opener.chunkBytes) - 1
    return (index, sealed) => openAs(index, sealed, index === finalChunk)
  }
  return (index, sealed) => {
    if (sealed.byteLength < plainCapacity(index, opener.chunkBytes) + TAG_BYTES) return openAs(index, sealed, true)
    // A full chunk may be either; both results are authenticated. The second attempt needs a copy of the bytes.
    const kept = sealed.slice()
    return openAs(index, kept, false).catch(() => openAs(index, kept, true))
  }
}

function sealedSizeOf(index: number, { opener, sealedBytes }: OpenRangeOptions): number {
  if (sealedBytes === undefined || index >= sealedChunkCount(sealedBytes, opener.chunkBytes)) {
    return plainCapacity(index, opener.chunkBytes) + TAG_BYTES
  }
  const { start, end } = sealedRangeOfChunk(index, sealedBytes, opener.chunkBytes)
  return end - start
}

function within({ index, plain }: OpenedChunk, range: ByteRange, chunkBytes: number): Bytes {
  const offset = chunkStart(index, chunkBytes)
  return plain.subarray(Math.max(0, range.start - offset), Math.max(0, range.end - offset))
}

/** Watches that a range comes to its end: its last chunk, or the media's. */
class RangeEnd {
  readonly #lastChunk: number
  #reached = false
  #over = false

  constructor(lastChunk: number) {
    this.#lastChunk = lastChunk
  }

  see({ index, last }: OpenedChunk): void {
    if (this.#over) throw damaged()
    this.#over = last
    this.#reached = last || index === this.#lastChunk
  }

  check(): void {
    if (!this.#reached) throw damaged()
  }
}

/** Work that has pending, wrapped so that an async generator can hand it on without waiting for it. */
interface Pending<T> {
  readonly result: Promise<T>
}

/**
 * Marks work as pending. Its failure is seen when its turn comes, if ever: until then it does not count as unhandled.
 */
function pending<T>(result: Promise<T>): Pending<T> {
  result.catch(ignore)
  return { result }
}

/**
 * The results of pending work, in order, each as soon as it is there: while one is awaited, the next ones are pending,
 * up to `parallel` at a time. Ends the source of work when the caller stops early or a result fails, without waiting
 * for it: a source that hangs must be stopped by other means.
 */
async function* inOrder<T>(work: AsyncGenerator<Pending<T>, void>, parallel: number): AsyncGenerator<T, void> {
  const waiting: Pending<T>[] = []
  let arriving: Promise<IteratorResult<Pending<T>, void>> | undefined
  let ended = false
  try {
    for (;;) {
      if (!ended && waiting.length < parallel) arriving ??= work.next()
      const [head] = waiting
      if (head !== undefined && (await isFirst(head.result, arriving))) {
        waiting.shift()
        yield await head.result
      } else if (arriving !== undefined) {
        const next = await arriving
        arriving = undefined
        if (next.done === true) ended = true
        else waiting.push(next.value)
      } else return
    }
  } finally {
    work.return().catch(ignore)
  }
}

/** Whether the result of `head` is there before another piece of work is. */
async function isFirst(head: Promise<unknown>, arriving: Promise<unknown> | undefined): Promise<boolean> {
  if (arriving === undefined) return true
  return Promise.race([head.then(() => true), arriving.then(() => false)])
}

function ignore(): void {}

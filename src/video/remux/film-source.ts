import { CustomSource } from 'mediabunny'

import { readDeclared, transportTimeBytes } from '../checks/read-declared.ts'
import type { DeclaredFilm } from '../checks/declared.ts'
import { release } from '../../client/bytes/buffers.ts'
import type { RandomSource } from '../../client/api/source-and-sink.ts'
import { CannotPackage } from '../packager.ts'

/** Of one read, which is held in memory; the index of a film of ten hours has some 15 MB. */
const MAX_READ_BYTES = 64 * 1024 * 1024

/** The demuxer's view of a film, with the first error of reading it. */
export interface FilmSource {
  readonly source: CustomSource
  readonly sizeBytes: number
  /** Why reading failed, if it did; the demuxer may have replaced the error. */
  readonly failure: () => { readonly cause: unknown } | null
  /** What the file declares; `null`: nothing that can be read. */
  readonly readDeclared: () => Promise<DeclaredFilm | null>
  /** Whether the demuxer has no cache, so that each of its reads is a buffer of its own. */
  readonly isUncached: boolean
  /** Bounds what is read until it is lifted. */
  readonly limit: OpeningLimit
}

/** Reads by blocks: a demuxer asks for a few bytes here and a frame there, at two or three positions that move on. */
export async function filmSource(film: RandomSource, signal: AbortSignal): Promise<FilmSource> {
  let failure: { readonly cause: unknown } | null = null
  const fail = (cause: unknown): never => {
    failure ??= { cause: signal.aborted ? signal.reason : cause }
    throw failure.cause
  }
  const blocks = new BlockCache(film, signal)
  const isTransportStream = await looksLikeTransportStream(film, blocks)
  const lend = lender()
  const limit = new OpeningLimit()
  const read = async (start: number, end: number) => {
    limit.count(end - start)
    if (end - start > MAX_READ_BYTES) throw new CannotPackage('It is damaged, or its index is too large')
    const bytes = new Uint8Array(end - start)
    await blocks.readInto(bytes, start)
    return bytes
  }
  const source = new CustomSource({
    getSize: () => film.sizeBytes,
    read: async (start, end) => {
      const bytes = await read(start, end).catch(fail)
      return isTransportStream ? bytes : lend(bytes)
    },
    handleUnhandledError: () => undefined,
    ...(isTransportStream ? DEMUXER_CACHE : { maxCacheSize: 0 }),
  })
  const declaring: RandomSource = {
    sizeBytes: film.sizeBytes,
    // Fragments that are counted later lie all over the file: reading by blocks would read most of it.
    read: (start, end) => (limit.isLifted ? film.read(start, end, signal) : read(start, end)),
  }
  return {
    source,
    sizeBytes: film.sizeBytes,
    readDeclared: () => readDeclared(declaring, signal).catch(fail),
    failure: () => failure,
    isUncached: !isTransportStream,
    limit,
  }
}

/** Transport packets of 188 bytes are read one by one: without a cache, each becomes an entry that all reads search. */
const DEMUXER_CACHE = { maxCacheSize: 2 * 1024 * 1024, prefetchProfile: 'fileSystem' } as const

/** An uncached demuxer has copied what it was given before the next task runs. */
function lender(): (bytes: Uint8Array<ArrayBuffer>) => Uint8Array<ArrayBuffer> {
  const lent: Uint8Array<ArrayBuffer>[] = []
  const takeBack = () => lent.splice(0).forEach(release)
  return bytes => {
    if (lent.push(bytes) === 1) setTimeout(takeBack)
    return bytes
  }
}

async function looksLikeTransportStream(film: RandomSource, blocks: BlockCache): Promise<boolean> {
  const start = new Uint8Array(Math.min(film.sizeBytes, 400))
  if (start.byteLength > 0) await blocks.readInto(start, 0)
  return transportTimeBytes(start) !== undefined
}

/** For opening a film: more than any index takes. */
const MAX_OPENING_BYTES = 256 * 1024 * 1024
/** What a read counts as at least, so that a file of empty boxes is given up as well. */
const MIN_READ_BYTES = 16 * 1024

/** Bounds what is read before it is known what is in a film: a hostile file could be searched for hours. */
export class OpeningLimit {
  #leftBytes = MAX_OPENING_BYTES

  /** @throws CannotPackage when too much has been read */
  count(bytes: number): void {
    this.#leftBytes -= Math.max(bytes, MIN_READ_BYTES)
    if (this.#leftBytes < 0) throw new CannotPackage('Too much of it would have to be read to see what is in it')
  }

  get isLifted(): boolean {
    return this.#leftBytes === Infinity
  }

  /** The film is open: what is read from now on is copied. */
  lift(): void {
    this.#leftBytes = Infinity
  }
}

const BLOCK_BYTES = 1024 * 1024
const MAX_BLOCKS = 6

interface Block {
  readonly bytes: Uint8Array<ArrayBuffer>
  readonly filled: Promise<void>
  /** Reads that use it now: it must not be overwritten. */
  readers: number
}

/**
 * A source read by blocks, of which the last few are cached; the block after the last read is read ahead. Buffers of
 * blocks are used again, so that reading gigabytes leaves no garbage.
 */
class BlockCache {
  readonly #source: RandomSource
  readonly #signal: AbortSignal
  /** Least recently used first. */
  readonly #blocks = new Map<number, Block>()

  constructor(source: RandomSource, signal: AbortSignal) {
    this.#source = source
    this.#signal = signal
  }

  /** Fills `target` with the bytes from `start` on; they are in the source. */
  async readInto(target: Uint8Array<ArrayBuffer>, start: number): Promise<void> {
    this.#signal.throwIfAborted()
    const end = start + target.byteLength
    const last = Math.floor((end - 1) / BLOCK_BYTES)
    for (let index = Math.floor(start / BLOCK_BYTES); index <= last; index++) {
      const from = index * BLOCK_BYTES
      await this.#use(index, bytes => {
        target.set(bytes.subarray(Math.max(0, start - from), end - from), Math.max(0, from - start))
      })
    }
    this.#readAhead(last + 1)
  }

  async #use(index: number, take: (bytes: Uint8Array<ArrayBuffer>) => void): Promise<void> {
    const block = this.#block(index)
    block.readers++
    try {
      await block.filled
      take(block.bytes)
    } finally {
      block.readers--
    }
  }

  #block(index: number): Block {
    const block = this.#blocks.get(index) ?? this.#fetch(index)
    this.#blocks.delete(index)
    this.#blocks.set(index, block)
    return block
  }

  #readAhead(index: number): void {
    // A read that needs the block gets its error.
    if (index * BLOCK_BYTES < this.#source.sizeBytes) this.#use(index, () => undefined).catch(() => undefined)
  }

  #fetch(index: number): Block {
    const start = index * BLOCK_BYTES
    const buffer = this.#takeBuffer()
    const bytes = buffer.subarray(0, this.#source.sizeBytes - start)
    return { bytes, filled: this.#fill(bytes, start), readers: 0 }
  }

  /** A new buffer, or that of the least recently used block. */
  #takeBuffer(): Uint8Array<ArrayBuffer> {
    if (this.#blocks.size < MAX_BLOCKS) return new Uint8Array(BLOCK_BYTES)
    for (const [index, { bytes, readers }] of this.#blocks) {
      if (readers > 0) continue
      this.#blocks.delete(index)
      return new Uint8Array(bytes.buffer)
    }
    return new Uint8Array(BLOCK_BYTES)
  }

  async #fill(bytes: Uint8Array<ArrayBuffer>, start: number): Promise<void> {
    if (this.#source.readInto) return this.#source.readInto(bytes, start, this.#signal)
    bytes.set(await this.#source.read(start, start + bytes.byteLength, this.#signal))
  }
}

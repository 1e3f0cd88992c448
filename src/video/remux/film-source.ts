import { CustomSource } from 'mediabunny'

import type { RandomSource } from '../../client/source.ts'
import { CannotPackage } from '../packager.ts'

const BLOCK_BYTES = 1024 * 1024
const MAX_BLOCKS = 6
/** What a header may make us hold in one piece; the index of a film of ten hours has some 15 MB. */
const MAX_READ_BYTES = 64 * 1024 * 1024

/** The demuxer's view of a film, and what went wrong below it. */
export interface FilmSource {
  readonly source: CustomSource
  /** Why reading ended, if it did; the demuxer may have made another error of it. */
  readonly failure: () => { readonly cause: unknown } | null
}

/**
 * Reads by blocks: a demuxer asks for a few bytes here and a frame there, out of two or three places that move forward.
 * The block after one that was asked for is fetched ahead.
 */
export function filmSource(film: RandomSource, signal: AbortSignal): FilmSource {
  let failure: { readonly cause: unknown } | null = null
  const fail = (cause: unknown): never => {
    failure ??= { cause: signal.aborted ? signal.reason : cause }
    throw failure.cause
  }
  const blocks = new BlockCache(film, signal)
  const source = new CustomSource({
    getSize: () => film.sizeBytes,
    read: (start, end) => {
      if (end - start > MAX_READ_BYTES) throw new CannotPackage('The film is damaged, or its index is too large')
      return blocks.read(start, end).catch(fail)
    },
    maxCacheSize: 2 * BLOCK_BYTES,
    // Else each header that is read becomes an entry of the demuxer's cache, which it goes through for every read.
    prefetchProfile: 'fileSystem',
    handleUnhandledError: () => undefined,
  })
  return { source, failure: () => failure }
}

class BlockCache {
  readonly #film: RandomSource
  readonly #signal: AbortSignal
  /** Least recently used first. */
  readonly #blocks = new Map<number, Promise<Uint8Array<ArrayBuffer>>>()

  constructor(film: RandomSource, signal: AbortSignal) {
    this.#film = film
    this.#signal = signal
  }

  async read(start: number, end: number): Promise<Uint8Array<ArrayBuffer>> {
    this.#signal.throwIfAborted()
    const first = Math.floor(start / BLOCK_BYTES)
    const last = Math.floor((end - 1) / BLOCK_BYTES)
    if (last - first > 1) return this.#film.read(start, end, this.#signal)
    const bytes = new Uint8Array(end - start)
    for (let index = first; index <= last; index++) {
      const block = await this.#block(index)
      const from = index * BLOCK_BYTES
      bytes.set(block.subarray(Math.max(0, start - from), end - from), Math.max(0, from - start))
    }
    this.#ahead(last + 1)
    return bytes
  }

  #block(index: number): Promise<Uint8Array<ArrayBuffer>> {
    const kept = this.#blocks.get(index)
    const block = kept ?? this.#fetch(index)
    this.#blocks.delete(index)
    this.#blocks.set(index, block)
    for (const oldest of this.#blocks.keys()) {
      if (this.#blocks.size <= MAX_BLOCKS) break
      this.#blocks.delete(oldest)
    }
    return block
  }

  #ahead(index: number): void {
    // Who needs the block awaits it, and learns then why it could not be read.
    if (index * BLOCK_BYTES < this.#film.sizeBytes) this.#block(index).catch(() => undefined)
  }

  #fetch(index: number): Promise<Uint8Array<ArrayBuffer>> {
    const start = index * BLOCK_BYTES
    return this.#film.read(start, Math.min(start + BLOCK_BYTES, this.#film.sizeBytes), this.#signal)
  }
}

import type { LimitFunction } from 'p-limit'

import type { MediaReader } from './media-reader.ts'

/** Chunks fetched by one request at most. */
const RUN_BYTES = 8 * 1024 * 1024
/** Chunks between two wanted ones that are fetched along with them: cheaper than another request, and soon wanted. */
const GAP_BYTES = 1024 * 1024
/** Opened chunks that are kept after they were used: the neighbours of what is wanted next. */
const MAX_KEPT_BYTES = 24 * 1024 * 1024

export interface ChunkStoreOptions {
  readonly item: MediaReader
  readonly ranges: LimitFunction
  /** What is kept after it was used, at most; 24 MiB unless told. */
  readonly keptBytes?: number | undefined
}

/** Takes an opened chunk; its bytes stay the store's. */
export type TakeChunk = (chunk: number, bytes: Uint8Array) => void

/**
 * Chunks of one media, for readers at several places of it at once: what one of them is fetching, the others wait for
 * instead of fetching it too.
 */
export class ChunkStore {
  readonly #item: MediaReader
  readonly #ranges: LimitFunction
  readonly #keep: number
  readonly #gap: number
  readonly #perRun: number
  /** Being fetched, or here; oldest first. */
  readonly #chunks = new Map<number, Promise<Uint8Array>>()

  constructor({ item, ranges, keptBytes = MAX_KEPT_BYTES }: ChunkStoreOptions) {
    this.#item = item
    this.#ranges = ranges
    this.#keep = Math.ceil(Math.min(MAX_KEPT_BYTES, keptBytes) / item.chunkBytes)
    this.#gap = Math.floor(GAP_BYTES / item.chunkBytes)
    this.#perRun = Math.max(1, Math.floor(RUN_BYTES / item.chunkBytes))
  }

  /** Hands over each of `wanted` once, in any order. `wanted` is ascending. */
  async take(wanted: readonly number[], take: TakeChunk, signal: AbortSignal): Promise<void> {
    const taken: Promise<void>[] = []
    for (let next = 0; next < wanted.length;) {
      const run = this.#runFrom(wanted, next)
      const fetched = run.last < run.first ? null : this.#fetch(run, signal)
      // The chunk at `next` at least: it was there, or it is the first one of the run.
      for (let chunk = wanted[next]; chunk !== undefined && (chunk <= run.last || chunk === run.first);) {
        taken.push(this.#handOver(chunk, take))
        next += 1
        chunk = wanted[next]
      }
      await fetched
    }
    await Promise.all(taken)
  }

  #handOver(chunk: number, take: TakeChunk): Promise<void> {
    const held = this.#chunks.get(chunk) ?? Promise.reject(new Error('A chunk was let go too early'))
    const taken = held.then(bytes => take(chunk, bytes))
    // Met by `Promise.all`, unless something else failed before.
    taken.catch(() => undefined)
    return taken
  }

  /** What to fetch at once, from a wanted chunk on; empty when that one is there already. */
  #runFrom(wanted: readonly number[], next: number): { first: number; last: number } {
    const first = wanted[next] ?? 0
    let last = first - 1
    for (let at = next; at < wanted.length; at += 1) {
      const chunk = wanted[at] ?? 0
      const tooFar = chunk - last - 1 > this.#gap || chunk - first >= this.#perRun
      if (tooFar || this.#isHeld(last + 1, chunk)) break
      last = chunk
    }
    return { first, last }
  }

  #isHeld(first: number, last: number): boolean {
    for (let chunk = first; chunk <= last; chunk += 1) if (this.#chunks.has(chunk)) return true
    return false
  }

  async #fetch({ first, last }: { first: number; last: number }, signal: AbortSignal): Promise<void> {
    const coming: PromiseWithResolvers<Uint8Array>[] = []
    for (let chunk = first; chunk <= last; chunk += 1) {
      const one = Promise.withResolvers<Uint8Array>()
      one.promise.catch(() => undefined)
      coming.push(one)
      this.#chunks.set(chunk, one.promise)
    }
    let next = 0
    try {
      await this.#ranges(() =>
        this.#item.read(
          { first, last },
          bytes => {
            coming[next]?.resolve(bytes)
            next += 1
          },
          signal,
        ),
      )
    } catch (error) {
      for (const one of coming) one.reject(error)
      throw error
    }
    this.#forget()
  }

  #forget(): void {
    for (const chunk of this.#chunks.keys()) {
      if (this.#chunks.size <= this.#keep) return
      this.#chunks.delete(chunk)
    }
  }
}

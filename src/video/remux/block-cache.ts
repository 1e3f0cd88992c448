import type { RandomSource } from '../../client/api/source-and-sink.ts'

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
export class BlockCache {
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

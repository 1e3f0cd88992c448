/** The bytes of one part, copied into blocks that are used again. */
import { freeMemory } from '../../buffers/buffer-pool.ts'

/** A part that has only begun is small, or its sender slow: its first block costs little. */
const FIRST_BYTES = 64 * 1024
const BLOCK_BYTES = 256 * 1024

/** Blocks that nobody has needed for this long are freed. */
const IDLE_MS = 10_000

/** Blocks that wait for the next part. There are never more than were in use at once; those that stay idle are freed. */
export class BlockPool {
  readonly #idleMs: number
  readonly #blocks: Uint8Array[] = []
  /** The fewest that have waited since the last look. */
  #idle = 0
  #timer: NodeJS.Timeout | null = null

  constructor(idleMs = IDLE_MS) {
    this.#idleMs = idleMs
  }

  take(bytes: number): Uint8Array {
    const kept = bytes === BLOCK_BYTES ? this.#blocks.pop() : undefined
    this.#idle = Math.min(this.#idle, this.#blocks.length)
    return kept ?? Buffer.allocUnsafeSlow(bytes)
  }

  release(block: Uint8Array): void {
    if (block.length !== BLOCK_BYTES) return
    this.#blocks.push(block)
    if (this.#timer === null) this.#timer = setTimeout(this.#look, this.#idleMs).unref()
  }

  #look = (): void => {
    this.#blocks.splice(0, this.#idle).forEach(freeMemory)
    this.#idle = this.#blocks.length
    this.#timer = this.#idle > 0 ? setTimeout(this.#look, this.#idleMs).unref() : null
  }
}

/**
 * [Note: why the copy] Each piece from the network is a buffer of its own. Kept until the part has been sent, thousands
 * of them are what the garbage collector is busy with; freed then, the system might still be sending one of them. A copy
 * costs a tenth of that: the piece is freed at once, and the block is never freed while somebody may read it.
 */
export class GatheredBytes {
  readonly #pool: BlockPool
  /** Most that will come. */
  readonly #limitBytes: number
  readonly #blocks: Uint8Array[] = []
  #capacityBytes = 0
  #sizeBytes = 0

  constructor(pool: BlockPool, limitBytes: number) {
    this.#pool = pool
    this.#limitBytes = limitBytes
  }

  /** The memory it holds. */
  get capacityBytes(): number {
    return this.#capacityBytes
  }

  /** How much memory `bytes` more would take beyond what is held. */
  growthFor(bytes: number): number {
    let capacityBytes = this.#capacityBytes
    while (capacityBytes < this.#sizeBytes + bytes) capacityBytes += this.#nextBlock(capacityBytes)
    return capacityBytes - this.#capacityBytes
  }

  /** Copies a piece and frees it; never more than the limit, all together. */
  add(piece: Uint8Array): void {
    let copiedBytes = 0
    while (copiedBytes < piece.length) {
      if (this.#sizeBytes === this.#capacityBytes) this.#grow()
      const block = this.#blocks.at(-1) ?? piece
      const freeBytes = this.#capacityBytes - this.#sizeBytes
      const bytes = Math.min(freeBytes, piece.length - copiedBytes)
      block.set(piece.subarray(copiedBytes, copiedBytes + bytes), block.length - freeBytes)
      copiedBytes += bytes
      this.#sizeBytes += bytes
    }
    freeMemory(piece)
  }

  /** What was added, in order. */
  pieces(): Uint8Array[] {
    const freeBytes = this.#capacityBytes - this.#sizeBytes
    const last = this.#blocks.at(-1)
    return last ? [...this.#blocks.slice(0, -1), last.subarray(0, last.length - freeBytes)] : []
  }

  /** The blocks may be used again: whoever was sent them has them all. */
  release(): void {
    for (const block of this.#blocks) this.#pool.release(block)
    this.#blocks.length = 0
  }

  #grow(): void {
    const block = this.#pool.take(this.#nextBlock(this.#capacityBytes))
    this.#blocks.push(block)
    this.#capacityBytes += block.length
  }

  #nextBlock(capacityBytes: number): number {
    return Math.min(capacityBytes === 0 ? FIRST_BYTES : BLOCK_BYTES, this.#limitBytes - capacityBytes)
  }
}

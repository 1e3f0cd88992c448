import { freeMemory } from '../../buffers/buffer-pool.ts'

/** The first block is small: the part may be, or its sender slow. */
const FIRST_BYTES = 64 * 1024
const BLOCK_BYTES = 256 * 1024

const IDLE_MS = 10_000

/** Reused blocks: never more than were in use at once. Blocks that stay idle for 10 s are freed. */
export class BlockPool {
  readonly #idleMs: number
  readonly #blocks: Uint8Array[] = []
  /** The fewest free blocks since the last check. */
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
    if (this.#timer === null) this.#timer = setTimeout(this.#freeIdle, this.#idleMs).unref()
  }

  #freeIdle = (): void => {
    this.#blocks.splice(0, this.#idle).forEach(freeMemory)
    this.#idle = this.#blocks.length
    this.#timer = this.#idle > 0 ? setTimeout(this.#freeIdle, this.#idleMs).unref() : null
  }
}

/**
 * The bytes of one part, copied into blocks.
 *
 * [Note: why the copy] Each piece from the network is a buffer of its own. Thousands of them, held until the part is
 * sent, keep the garbage collector busy; and freeing one explicitly is unsafe while the system may still be sending it.
 * A copy costs a tenth of that: the piece is freed at once, and a block is reused only when nothing reads it any more.
 */
export class GatheredBytes {
  readonly #pool: BlockPool
  /** Most bytes that will be added. */
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

  /** The additional memory that `bytes` more would take. */
  growthFor(bytes: number): number {
    let capacityBytes = this.#capacityBytes
    while (capacityBytes < this.#sizeBytes + bytes) capacityBytes += this.#nextBlock(capacityBytes)
    return capacityBytes - this.#capacityBytes
  }

  /** Copies a piece and frees it. The caller never adds more than the limit. */
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

  /** All bytes added, in order. */
  pieces(): Uint8Array[] {
    const freeBytes = this.#capacityBytes - this.#sizeBytes
    const last = this.#blocks.at(-1)
    return last ? [...this.#blocks.slice(0, -1), last.subarray(0, last.length - freeBytes)] : []
  }

  /** For reuse of the blocks, once the service has received all of them. */
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

import { freeMemory } from '../file/free-memory.ts'

const LARGE_BYTES = 256 * 1024
const SMALL_BYTES = 32 * 1024

/**
 * The memory that bytes from the service arrive in. Large buffers are used again and again, up to a budget; whoever finds
 * it spent gets a small one that is freed after its use. A large one costs a quarter of the steps and of the system calls.
 */
export class ReceiveMemory {
  readonly #budgetBytes: number
  readonly #kept: Uint8Array<ArrayBuffer>[] = []
  readonly #lent = new Map<ArrayBufferLike, Lent>()
  #largeBytes = 0

  constructor(budgetBytes: number) {
    this.#budgetBytes = budgetBytes
  }

  /** @param owner who has to ask `forget` for what was lost in the end */
  take(owner: object): Uint8Array<ArrayBuffer> {
    const buffer = this.#large() ?? Buffer.allocUnsafeSlow(SMALL_BYTES)
    this.#lent.set(buffer.buffer, { buffer, owner })
    return buffer
  }

  /** For a piece of a buffer, or all of it, when nobody looks at any of it any more. Of other memory, it is freed. */
  release(piece: Uint8Array): void {
    const buffer = this.#lent.get(piece.buffer)?.buffer
    this.#lent.delete(piece.buffer)
    if (buffer?.length === LARGE_BYTES) this.#kept.push(buffer)
    else freeMemory(buffer ?? piece)
  }

  /** For a piece that somebody may still be looking at: its memory is never used again. */
  discard(piece: Uint8Array): void {
    if (this.#lent.get(piece.buffer)?.buffer.length === LARGE_BYTES) this.#largeBytes -= LARGE_BYTES
    this.#lent.delete(piece.buffer)
  }

  /** Discards all that an owner took and nobody has given back. */
  forget(owner: object): void {
    for (const lent of this.#lent.values()) if (lent.owner === owner) this.discard(lent.buffer)
  }

  #large(): Uint8Array<ArrayBuffer> | null {
    const kept = this.#kept.pop()
    if (kept) return kept
    if (this.#largeBytes + LARGE_BYTES > this.#budgetBytes) return null
    this.#largeBytes += LARGE_BYTES
    return Buffer.allocUnsafeSlow(LARGE_BYTES)
  }
}

interface Lent {
  readonly buffer: Uint8Array<ArrayBuffer>
  readonly owner: object
}

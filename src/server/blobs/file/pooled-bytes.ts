import type { BytesAtHand } from '../blob-store.ts'
import type { BufferPool } from './buffer-pool.ts'
import type { OpenFile } from './file-system.ts'

/** Bytes of a file that were there at once, in a buffer of the pool. */
export class PooledBytes implements BytesAtHand {
  readonly bytes: Uint8Array
  readonly #pool: BufferPool
  readonly #buffer: Uint8Array

  private constructor(pool: BufferPool, buffer: Uint8Array, lengthBytes: number) {
    this.#pool = pool
    this.#buffer = buffer
    this.bytes = lengthBytes === buffer.length ? buffer : buffer.subarray(0, lengthBytes)
  }

  /** `null` when they are not, or not all of them; whoever reads them in the usual way learns why. */
  static read(file: OpenFile, pool: BufferPool, lengthBytes: number, position: number): PooledBytes | null {
    if (!file.readAtOnce) return null
    const buffer = pool.take(lengthBytes)
    if (lengthBytes === readQuietly(file, buffer, lengthBytes, position)) {
      return new PooledBytes(pool, buffer, lengthBytes)
    }
    pool.release(buffer)
    return null
  }

  release(): void {
    this.#pool.release(this.#buffer)
  }

  discard(): void {
    this.#pool.discard(this.#buffer)
  }
}

function readQuietly(file: OpenFile, buffer: Uint8Array, lengthBytes: number, position: number): number | null {
  try {
    return file.readAtOnce?.(buffer, lengthBytes, position) ?? null
  } catch {
    return null
  }
}

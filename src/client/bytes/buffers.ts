import { Semaphore } from '../concurrency/semaphore.ts'

/**
 * Gives the memory of a buffer back at once. The garbage collector would do it later, and much more often than it need
 * be: it sees gigabytes of short-lived buffers pass. Only for bytes that nobody else holds; views of a part of a
 * buffer are left alone.
 */
export function release(bytes: Uint8Array): void {
  const { buffer } = bytes
  if (!(buffer instanceof ArrayBuffer) || bytes.byteLength !== buffer.byteLength) return
  // Browsers before 2024 lack it, and collect.
  if ('transfer' in buffer) buffer.transfer(0)
}

/** A buffer to fill, given back by disposing it: when nobody reads it any more. */
export interface PartBuffer extends Disposable {
  readonly bytes: Uint8Array<ArrayBuffer>
}

const ONE_PART_BYTES = 8 * 1024 * 1024

/**
 * Buffers for so many parts in flight, 8 MiB each: first come, first served, used again. Smaller ones are no more, larger
 * ones fewer, so that neither what is lost at a cut nor the memory grows with what a server calls a part.
 */
export class PartBuffers {
  readonly #parts: number
  readonly #room: Semaphore
  readonly #allocate: (bytes: number) => Uint8Array<ArrayBuffer>
  readonly #idle: Uint8Array<ArrayBuffer>[] = []

  constructor(parts: number, allocate: (bytes: number) => Uint8Array<ArrayBuffer>) {
    this.#parts = parts
    this.#room = new Semaphore(parts * ONE_PART_BYTES)
    this.#allocate = allocate
  }

  /** As many again and `more`, for those who must not wait for these. */
  apart(more: number): PartBuffers {
    return new PartBuffers(this.#parts + more, this.#allocate)
  }

  /** Holds whatever was in it before. */
  async acquire(bytes: number, signal: AbortSignal): Promise<PartBuffer> {
    const room = await this.#room.acquire(Math.max(bytes, ONE_PART_BYTES), signal)
    const at = this.#idle.findIndex(idle => idle.byteLength === bytes)
    const buffer = this.#idle.splice(at, at < 0 ? 0 : 1)[0] ?? this.#allocate(bytes)
    // Buffers of another size would come on top of those in use.
    if (at < 0) this.#idle.length = 0
    return {
      bytes: buffer,
      [Symbol.dispose]: () => {
        if (this.#idle.includes(buffer)) return
        this.#idle.push(buffer)
        room[Symbol.dispose]()
      },
    }
  }
}

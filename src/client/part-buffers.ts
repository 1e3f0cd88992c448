import { Semaphore } from './semaphore.ts'

/** A buffer to fill, given back by disposing it: when nobody reads it any more. */
export interface PartBuffer extends Disposable {
  readonly bytes: Uint8Array<ArrayBuffer>
}

const ONE_PART_BYTES = 8 * 1024 * 1024

/** Buffers for parts in flight: no more bytes than `capacityBytes` at once, first come, first served, used again. */
export class PartBuffers {
  readonly #capacityBytes: number
  readonly #room: Semaphore
  readonly #allocate: (bytes: number) => Uint8Array<ArrayBuffer>
  readonly #idle: Uint8Array<ArrayBuffer>[] = []

  constructor(capacityBytes: number, allocate: (bytes: number) => Uint8Array<ArrayBuffer>) {
    this.#capacityBytes = capacityBytes
    this.#room = new Semaphore(capacityBytes)
    this.#allocate = allocate
  }

  /** As many bytes again and `more` buffers' worth, for those who must not wait for these. */
  apart(more: number): PartBuffers {
    return new PartBuffers(this.#capacityBytes + more * ONE_PART_BYTES, this.#allocate)
  }

  /** Holds whatever was in it before. */
  async acquire(bytes: number, signal: AbortSignal): Promise<PartBuffer> {
    const room = await this.#room.acquire(bytes, signal)
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

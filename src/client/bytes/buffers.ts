import { abortReason } from '../concurrency/abort.ts'
import { Semaphore } from '../concurrency/semaphore.ts'

/**
 * Frees the memory of a buffer at once, so that the garbage collector runs less often during transfers of gigabytes.
 * Call it only on bytes that nothing else reads. A view of a part of a buffer is left unchanged.
 */
export function release(bytes: Uint8Array): void {
  const { buffer } = bytes
  if (!(buffer instanceof ArrayBuffer) || bytes.byteLength !== buffer.byteLength) return
  // Browsers before 2024 lack `transfer`: the garbage collector frees the memory.
  if ('transfer' in buffer) buffer.transfer(0)
}

/** A buffer to fill. */
export interface PartBuffer {
  readonly bytes: Uint8Array<ArrayBuffer>
  /** Call it when nothing reads the buffer any more. */
  release(): void
}

const ONE_PART_BYTES = 8 * 1024 * 1024

/**
 * Reused buffers for `parts` parts in flight of 8 MiB each, first come, first served. Smaller parts get no more buffers
 * and larger parts get fewer, so that memory does not grow with the part size of a server.
 */
export class PartBuffers {
  readonly #parts: number
  readonly #bytes: Semaphore
  readonly #allocate: (bytes: number) => Uint8Array<ArrayBuffer>
  readonly #idle: Uint8Array<ArrayBuffer>[] = []

  constructor(parts: number, allocate: (bytes: number) => Uint8Array<ArrayBuffer>) {
    this.#parts = parts
    this.#bytes = new Semaphore(parts * ONE_PART_BYTES)
    this.#allocate = allocate
  }

  /** A separate set of `parts + more` buffers, for transfers that must not wait for these. */
  apart(more: number): PartBuffers {
    return new PartBuffers(this.#parts + more, this.#allocate)
  }

  /** The buffer still contains the bytes of its last use. */
  async acquire(bytes: number, signal: AbortSignal): Promise<PartBuffer> {
    const held = await this.#bytes.acquire(Math.max(bytes, ONE_PART_BYTES), signal)
    const at = this.#idle.findIndex(idle => idle.byteLength === bytes)
    const buffer = this.#idle.splice(at, at < 0 ? 0 : 1)[0] ?? this.#allocate(bytes)
    // Idle buffers of another size would exceed the bound.
    if (at < 0) this.#idle.length = 0
    return {
      bytes: buffer,
      release: () => {
        if (this.#idle.includes(buffer)) return
        this.#idle.push(buffer)
        held.release()
      },
    }
  }
}

type Pieces = AsyncIterable<Uint8Array<ArrayBuffer>>

/**
 * A stream over pieces that are made as they are read. Cancelling it, or aborting `outer`, aborts the signal that the
 * maker of the pieces was given. (`ReadableStream.from` does the same, but not in every browser.)
 */
export function streamOf(
  outer: AbortSignal,
  make: (signal: AbortSignal) => Pieces | Promise<Pieces>,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  const stop = new AbortController()
  const signal = AbortSignal.any([outer, stop.signal])
  let pieces: AsyncIterator<Uint8Array<ArrayBuffer>> | null = null
  return new ReadableStream<Uint8Array<ArrayBuffer>>(
    {
      async pull(controller) {
        try {
          pieces ??= (await make(signal))[Symbol.asyncIterator]()
          const next = await pieces.next()
          if (next.done === true) controller.close()
          else controller.enqueue(next.value)
        } catch (error) {
          controller.error(outer.aborted ? abortReason(outer) : error)
        }
      },
      async cancel(reason) {
        stop.abort(reason)
        await pieces?.return?.().catch(() => undefined)
      },
    },
    { highWaterMark: 0 },
  )
}

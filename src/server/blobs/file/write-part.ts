import { SealiftError } from '../../../protocol/errors.ts'
import { abortableSource } from '../../../common/abort-race.ts'
import type { PartAddress } from '../blob-store.ts'
import type { BlobWriter } from './part-files.ts'
import { freeMemory } from '../../buffers/buffer-pool.ts'

/** Small pieces are gathered into writes of this size… */
const WRITE_BYTES = 1024 * 1024
/** …or of this many pieces: no system takes more than 1024 in one call. */
const WRITE_PIECES = 512
/** While one write is on its way to the disk, the next may be gathered and started. */
const WRITES_IN_FLIGHT = 2

export interface PartTarget {
  readonly writer: BlobWriter
  /** Shared by all parts of the store. */
  readonly memory: WriteMemory
}

/**
 * Writes a part to its place as it arrives. The pieces are taken over: their memory is freed when they are written.
 * @returns its size @throws size_mismatch, the writer's errors, the source's own
 */
export async function writePart(
  target: PartTarget,
  part: PartAddress,
  source: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<number> {
  const writing = new PartWriting(target, part)
  try {
    for await (const piece of abortableSource(source, signal)) await writing.add(piece)
    await writing.finish()
  } finally {
    await writing.end()
  }
  signal.throwIfAborted()
  return writing.sizeBytes
}

/** One part on its way: gathered pieces, and writes in flight. */
class PartWriting {
  readonly #target: PartTarget
  readonly #part: PartAddress
  readonly #inFlight = new Set<Promise<void>>()
  #pieces: Uint8Array[] = []
  #gatheredBytes = 0
  #failure: { readonly error: unknown } | null = null
  sizeBytes = 0

  constructor(target: PartTarget, part: PartAddress) {
    this.#target = target
    this.#part = part
  }

  async add(piece: Uint8Array): Promise<void> {
    this.#throwFailure()
    if (piece.length === 0) return
    this.sizeBytes += piece.length
    if (this.sizeBytes > (this.#part.sizeBytes ?? this.#part.partBytes)) throw this.#mismatch()
    const { memory } = this.#target
    this.#pieces.push(piece)
    this.#gatheredBytes += piece.length
    memory.hold(piece.length)
    if (memory.spent || this.#gatheredBytes >= WRITE_BYTES || this.#pieces.length >= WRITE_PIECES) await this.#flush()
    while (memory.spent && this.#inFlight.size > 0) await Promise.race(this.#inFlight)
  }

  async finish(): Promise<void> {
    const { sizeBytes } = this.#part
    if (sizeBytes === null ? this.sizeBytes === 0 : this.sizeBytes !== sizeBytes) throw this.#mismatch()
    await this.#flush()
    await Promise.all(this.#inFlight)
    this.#throwFailure()
  }

  /** Waits until nothing of it is on its way any more; what was gathered and not written is dropped. */
  async end(): Promise<void> {
    await Promise.all(this.#inFlight)
    this.#target.memory.release(this.#gatheredBytes)
    this.#pieces = []
    this.#gatheredBytes = 0
  }

  async #flush(): Promise<void> {
    if (this.#gatheredBytes === 0) return
    while (this.#inFlight.size >= WRITES_IN_FLIGHT) await Promise.race(this.#inFlight)
    this.#throwFailure()
    const { index, partBytes } = this.#part
    const position = index * partBytes + this.sizeBytes - this.#gatheredBytes
    this.#start(this.#pieces, this.#gatheredBytes, position)
    this.#pieces = []
    this.#gatheredBytes = 0
  }

  #start(pieces: readonly Uint8Array[], bytes: number, position: number): void {
    const { writer, memory } = this.#target
    const write = writer
      .write(pieces, position)
      .catch((error: unknown) => {
        this.#failure ??= { error }
      })
      .finally(() => {
        memory.release(bytes)
        pieces.forEach(freeMemory)
        this.#inFlight.delete(write)
      })
    this.#inFlight.add(write)
  }

  #throwFailure(): void {
    if (this.#failure) throw this.#failure.error
  }

  #mismatch(): SealiftError {
    const { index, sizeBytes, partBytes } = this.#part
    const expected = sizeBytes === null ? `1 to ${partBytes}` : String(sizeBytes)
    return new SealiftError('size_mismatch', `Part ${index} must hold ${expected} bytes, but other bytes arrived`)
  }
}

/**
 * The memory of all parts on their way to the disk, together. While it is within its budget, small pieces are gathered
 * into large writes; beyond it each piece is written at once and waited for, so that hundreds of slow senders hold a
 * piece each and not a megabyte each.
 */
export class WriteMemory {
  readonly #budgetBytes: number
  #heldBytes = 0

  constructor(budgetBytes: number) {
    this.#budgetBytes = budgetBytes
  }

  get spent(): boolean {
    return this.#heldBytes > this.#budgetBytes
  }

  hold(bytes: number): void {
    this.#heldBytes += bytes
  }

  release(bytes: number): void {
    this.#heldBytes -= bytes
  }
}

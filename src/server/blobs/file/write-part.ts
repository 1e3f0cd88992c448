import { abortableSource } from '../../../common/abort-race.ts'
import { freeMemory } from '../../buffers/buffer-pool.ts'
import type { PartAddress } from '../blob-store.ts'
import { ReceivedSize } from '../part-size.ts'
import type { UploadFile } from './upload-files.ts'

/** Small pieces are gathered into writes of this size… */
const WRITE_BYTES = 1024 * 1024
/** …or of this many pieces: no system takes more than 1024 in one call. */
const WRITE_PIECES = 512
/** Per part: while one write runs, the next may be gathered and started. */
const WRITES_IN_FLIGHT = 2

export interface PartTarget {
  readonly file: UploadFile
  /** Shared by all parts of the store. */
  readonly memory: WriteMemory
}

/**
 * Writes a part in place as it arrives. The pieces are taken over: their memory is freed when they are written.
 * @returns its size @throws size_mismatch, the file's errors, the source's own
 */
export async function writePart(
  target: PartTarget,
  part: PartAddress,
  source: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<number> {
  const writer = new PartWriter(target, part)
  try {
    for await (const piece of abortableSource(source, signal)) await writer.add(piece)
    await writer.finish()
  } finally {
    await writer.end()
  }
  signal.throwIfAborted()
  return writer.sizeBytes
}

/**
 * The memory of all parts in flight to the disk. Within the budget, small pieces are gathered into large writes. Beyond
 * it each piece is written and awaited at once, so that hundreds of slow senders hold a piece each, not a megabyte
 * each.
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

/** Gathered pieces and writes in flight of one part. */
class PartWriter {
  readonly #target: PartTarget
  readonly #part: PartAddress
  readonly #received: ReceivedSize
  readonly #inFlight = new Set<Promise<void>>()
  #pieces: Uint8Array[] = []
  #gatheredBytes = 0
  #failure: { readonly error: unknown } | null = null

  constructor(target: PartTarget, part: PartAddress) {
    this.#target = target
    this.#part = part
    this.#received = new ReceivedSize(part)
  }

  get sizeBytes(): number {
    return this.#received.bytes
  }

  async add(piece: Uint8Array): Promise<void> {
    this.#throwFailure()
    if (piece.length === 0) return
    this.#received.add(piece.length)
    const { memory } = this.#target
    this.#pieces.push(piece)
    this.#gatheredBytes += piece.length
    memory.hold(piece.length)
    if (memory.spent || this.#gatheredBytes >= WRITE_BYTES || this.#pieces.length >= WRITE_PIECES) await this.#flush()
    while (memory.spent && this.#inFlight.size > 0) await Promise.race(this.#inFlight)
  }

  async finish(): Promise<void> {
    this.#received.assertComplete()
    await this.#flush()
    await Promise.all(this.#inFlight)
    this.#throwFailure()
  }

  /** Waits for the writes in flight; gathered pieces that are not written are dropped. */
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
    const { file, memory } = this.#target
    const write = file
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
}

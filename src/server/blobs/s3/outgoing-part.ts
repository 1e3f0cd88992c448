/**
 * A part on its way from a sender to the service.
 *
 * [Note: gathered or passed on] While memory is free a part is gathered whole, then sent: a failed try can be repeated,
 * and a slow sender holds no connection to the service. When memory runs out, a part whose length is known is passed
 * on as it arrives: it holds next to nothing, always moves, and a failure is its sender's to repeat. A part whose
 * length nobody told cannot be passed on; it waits for the memory of a whole part before its first byte is taken.
 */
import { Readable } from 'node:stream'

import { SealiftError } from '../../../protocol/errors.ts'
import { abortableSource } from '../../../common/abort-race.ts'
import type { PartAddress } from '../blob-store.ts'
import { type BlockPool, GatheredBytes } from './gathered-bytes.ts'
import type { ByteBudget } from '../../buffers/byte-budget.ts'
import type { Try } from './retry.ts'
import type { ObjectBody } from './s3-service.ts'

const BODY_BUFFER_BYTES = 128 * 1024

/** What all parts share. */
export interface IncomingMemory {
  readonly memory: ByteBudget
  readonly blocks: BlockPool
}

export class IncomingPart implements AsyncDisposable {
  readonly #memory: ByteBudget
  readonly #part: PartAddress
  readonly #signal: AbortSignal
  readonly #source: AsyncIterator<Uint8Array>
  readonly #bytes: GatheredBytes
  /** The piece that memory was not there for. */
  #beyond: Uint8Array | null = null
  #heldBytes = 0
  #sizeBytes = 0
  /** What the source failed with while it was passed on. */
  #failure: { readonly error: unknown } | null = null

  constructor(
    { memory, blocks }: IncomingMemory,
    part: PartAddress,
    source: AsyncIterable<Uint8Array>,
    signal: AbortSignal,
  ) {
    this.#memory = memory
    this.#bytes = new GatheredBytes(blocks, part.sizeBytes ?? part.partBytes)
    this.#part = part
    this.#signal = signal
    this.#source = abortableSource(source, signal)[Symbol.asyncIterator]()
  }

  /** Bytes that have arrived. */
  get sizeBytes(): number {
    return this.#sizeBytes
  }

  get failure(): { readonly error: unknown } | null {
    return this.#failure
  }

  /**
   * Takes in the part while there is memory for it.
   * @returns whether all of it is there: then `gathered` may be sent as often as needed; else `passedOn`, once
   * @throws size_mismatch, the source's errors, the signal's reason
   */
  async gather(): Promise<boolean> {
    const { sizeBytes, partBytes } = this.#part
    if (sizeBytes === null) await this.#hold(partBytes)
    for (;;) {
      const piece = await this.#next()
      if (piece === null) break
      if (sizeBytes !== null && !this.#tryHold(this.#bytes.growthFor(piece.length))) {
        this.#beyond = piece
        return false
      }
      this.#bytes.add(piece)
    }
    this.#assertWhole()
    this.#giveBack(sizeBytes === null ? partBytes - this.#bytes.capacityBytes : 0)
    return true
  }

  gathered(): ObjectBody {
    const sizeBytes = this.#sizeBytes
    const pieces = this.#bytes.pieces()
    const [whole] = pieces
    if (whole?.length === sizeBytes) return { sizeBytes, open: () => whole }
    return { sizeBytes, open: current => asReadable(paced(pieces, current)) }
  }

  /** The service has said that it has everything that was gathered. */
  sent(): void {
    this.#bytes.release()
  }

  passedOn(): ObjectBody {
    return { sizeBytes: this.#part.sizeBytes ?? 0, open: current => asReadable(this.#rest(current)) }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#giveBack(this.#heldBytes)
    await this.#source.return?.()
  }

  /** The last piece is held back until the source has ended: a part that is too long never arrives whole. */
  async *#rest(current: Try): AsyncGenerator<Uint8Array> {
    let last: Uint8Array | null = null
    try {
      for await (const piece of this.#arriving(current)) {
        if (last) yield* this.#give(last, current)
        last = piece
      }
      this.#assertWhole()
    } catch (error) {
      this.#failure = { error }
      throw error
    }
    if (last) yield* this.#give(last, current)
  }

  /** What was gathered before memory ran out, then what the source still brings. */
  async *#arriving({ deadline }: Try): AsyncGenerator<Uint8Array> {
    yield* this.#bytes.pieces()
    if (this.#beyond) yield this.#beyond
    this.#beyond = null
    for (;;) {
      deadline.pause()
      const piece = await this.#next()
      deadline.progressed(0)
      if (piece === null) return
      yield piece
    }
  }

  *#give(piece: Uint8Array, { deadline }: Try): Generator<Uint8Array> {
    yield piece
    deadline.progressed(piece.length)
    this.#giveBack(Math.min(this.#heldBytes, piece.length))
  }

  /** @throws size_mismatch as soon as there is more than there may be */
  async #next(): Promise<Uint8Array | null> {
    for (;;) {
      const { done, value } = await this.#source.next()
      if (done) return null
      if (value.length === 0) continue
      this.#sizeBytes += value.length
      if (this.#sizeBytes > (this.#part.sizeBytes ?? this.#part.partBytes)) throw this.#mismatch()
      return value
    }
  }

  async #hold(bytes: number): Promise<void> {
    await this.#memory.take(bytes, this.#signal)
    this.#heldBytes += bytes
  }

  #tryHold(bytes: number): boolean {
    if (bytes === 0) return true
    const held = this.#memory.tryTake(bytes)
    if (held) this.#heldBytes += bytes
    return held
  }

  #giveBack(bytes: number): void {
    this.#heldBytes -= bytes
    this.#memory.give(bytes)
  }

  #assertWhole(): void {
    const { sizeBytes } = this.#part
    if (sizeBytes === null ? this.#sizeBytes === 0 : this.#sizeBytes !== sizeBytes) throw this.#mismatch()
  }

  #mismatch(): SealiftError {
    const { index, sizeBytes, partBytes } = this.#part
    const expected = sizeBytes === null ? `1 to ${partBytes}` : String(sizeBytes)
    return new SealiftError('size_mismatch', `Part ${index} must hold ${expected} bytes, but other bytes arrived`)
  }
}

/** Pieces as the service takes them; each one taken gives it more time. */
function* paced(pieces: readonly Uint8Array[], { deadline }: Try): Generator<Uint8Array> {
  for (const piece of pieces) {
    yield piece
    deadline.progressed(piece.length)
  }
}

function asReadable(bytes: Iterable<Uint8Array> | AsyncIterable<Uint8Array>): Readable {
  return Readable.from(bytes, { objectMode: false, highWaterMark: BODY_BUFFER_BYTES })
}

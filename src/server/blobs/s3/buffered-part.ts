/**
 * A part in flight from a client to the service.
 *
 * [Note: buffered or streamed] While memory is free, a part is buffered, then sent: a failed try can be repeated, and a
 * slow client holds no connection to the service. When memory runs out, a part of known length is streamed as it
 * arrives: it holds next to nothing and always progresses, and its client repeats it after a failure. A part of unknown
 * length cannot be streamed; it waits for the memory of a complete part before its first byte is read.
 */
import { Readable } from 'node:stream'

import { abortableSource } from '../../../common/abort-race.ts'
import type { PartAddress } from '../blob-store.ts'
import { ReceivedSize } from '../part-size.ts'
import { type BlockPool, GatheredBytes } from './gathered-bytes.ts'
import type { ByteBudget } from '../../buffers/byte-budget.ts'
import type { Try } from './request-retries.ts'
import type { ObjectBody } from './s3-service.ts'

const BODY_BUFFER_BYTES = 128 * 1024

/** Shared by all parts of a store. */
export interface PartMemory {
  readonly memory: ByteBudget
  readonly blocks: BlockPool
}

export class BufferedPart implements AsyncDisposable {
  readonly #memory: ByteBudget
  readonly #part: PartAddress
  readonly #signal: AbortSignal
  readonly #source: AsyncIterator<Uint8Array>
  readonly #bytes: GatheredBytes
  /** The piece that no memory was free for. */
  #unbuffered: Uint8Array | null = null
  #heldBytes = 0
  readonly #received: ReceivedSize
  /** What the source threw while it was streamed. */
  #failure: { readonly error: unknown } | null = null

  constructor(
    { memory, blocks }: PartMemory,
    part: PartAddress,
    source: AsyncIterable<Uint8Array>,
    signal: AbortSignal,
  ) {
    this.#memory = memory
    this.#bytes = new GatheredBytes(blocks, part.sizeBytes ?? part.partBytes)
    this.#part = part
    this.#received = new ReceivedSize(part)
    this.#signal = signal
    this.#source = abortableSource(source, signal)[Symbol.asyncIterator]()
  }

  get sizeBytes(): number {
    return this.#received.bytes
  }

  get failure(): { readonly error: unknown } | null {
    return this.#failure
  }

  /**
   * Buffers the part while memory is free.
   * @returns whether it is complete: then `buffered` may be sent repeatedly; else `streamed`, once
   * @throws size_mismatch, the source's errors, the signal's reason
   */
  async buffer(): Promise<boolean> {
    const { sizeBytes, partBytes } = this.#part
    if (sizeBytes === null) await this.#hold(partBytes)
    for (;;) {
      const piece = await this.#next()
      if (piece === null) break
      if (sizeBytes !== null && !this.#tryHold(this.#bytes.growthFor(piece.length))) {
        this.#unbuffered = piece
        return false
      }
      this.#bytes.add(piece)
    }
    this.#received.assertComplete()
    this.#release(sizeBytes === null ? partBytes - this.#bytes.capacityBytes : 0)
    return true
  }

  buffered(): ObjectBody {
    const { sizeBytes } = this
    const pieces = this.#bytes.pieces()
    const [whole] = pieces
    if (whole?.length === sizeBytes) return { sizeBytes, open: () => whole }
    return { sizeBytes, open: current => asReadable(paced(pieces, current)) }
  }

  /** The service has acknowledged all buffered bytes. */
  sent(): void {
    this.#bytes.release()
  }

  streamed(): ObjectBody {
    return { sizeBytes: this.#part.sizeBytes ?? 0, open: current => asReadable(this.#rest(current)) }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#release(this.#heldBytes)
    await this.#source.return?.()
  }

  /** Retains the last piece until the source has ended: a part that is too long is never complete at the service. */
  async *#rest(current: Try): AsyncGenerator<Uint8Array> {
    let last: Uint8Array | null = null
    try {
      for await (const piece of this.#arriving(current)) {
        if (last) yield* this.#send(last, current)
        last = piece
      }
      this.#received.assertComplete()
    } catch (error) {
      this.#failure = { error }
      throw error
    }
    if (last) yield* this.#send(last, current)
  }

  /** The buffered bytes, then the rest of the source. */
  async *#arriving({ deadline }: Try): AsyncGenerator<Uint8Array> {
    yield* this.#bytes.pieces()
    if (this.#unbuffered) yield this.#unbuffered
    this.#unbuffered = null
    for (;;) {
      deadline.pause()
      const piece = await this.#next()
      deadline.progressed(0)
      if (piece === null) return
      yield piece
    }
  }

  *#send(piece: Uint8Array, { deadline }: Try): Generator<Uint8Array> {
    yield piece
    deadline.progressed(piece.length)
    this.#release(Math.min(this.#heldBytes, piece.length))
  }

  /** @throws size_mismatch as soon as there is more than there may be */
  async #next(): Promise<Uint8Array | null> {
    for (;;) {
      const { done, value } = await this.#source.next()
      if (done) return null
      if (value.length === 0) continue
      this.#received.add(value.length)
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

  #release(bytes: number): void {
    this.#heldBytes -= bytes
    this.#memory.give(bytes)
  }
}

/** Each piece that the service takes extends its deadline. */
function* paced(pieces: readonly Uint8Array[], { deadline }: Try): Generator<Uint8Array> {
  for (const piece of pieces) {
    yield piece
    deadline.progressed(piece.length)
  }
}

function asReadable(bytes: Iterable<Uint8Array> | AsyncIterable<Uint8Array>): Readable {
  return Readable.from(bytes, { objectMode: false, highWaterMark: BODY_BUFFER_BYTES })
}

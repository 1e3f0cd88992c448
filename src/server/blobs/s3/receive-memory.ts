import type { Socket } from 'node:net'
import { buildConnector, type Dispatcher } from 'undici'
import { Readable } from 'node:stream'

import { freeMemory } from '../../buffers/buffer-pool.ts'

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

/** What fills less of its buffer is copied: it may be held for long, while the buffer takes the next bytes. */
const WORTH_KEEPING = 1 / 4
/** Nothing more is read while something that was read waits to be looked at: two buffers would be joined by a copy. */
const HIGH_WATER_MARK = 1

/**
 * Connects undici to the service so that bytes arrive in `memory`, where Node would make a buffer of 64 KiB for each
 * read. With TLS they come in records of 16 KiB, for each of which Node makes a buffer.
 */
export function receivingConnector(memory: ReceiveMemory, timeoutMs: number): buildConnector.connector {
  const plain = buildConnector({ timeout: timeoutMs })
  return (options, callback) => {
    if (options.protocol === 'https:') return plain(options, callback)
    const receiver = new Receiver(memory)
    const connect = buildConnector({
      timeout: timeoutMs,
      highWaterMark: HIGH_WATER_MARK,
      onread: { buffer: receiver.next, callback: receiver.received },
    } as buildConnector.BuildOptions)
    connect(options, (...result) => {
      if (result[1]) receiver.serve(result[1])
      else memory.forget(receiver)
      callback(...result)
    })
  }
}

/** The buffers of one connection: one is always ready for what comes next. */
class Receiver {
  readonly #memory: ReceiveMemory
  #ready: Uint8Array | null = null
  #socket: Socket | null = null

  constructor(memory: ReceiveMemory) {
    this.#memory = memory
  }

  serve(socket: Socket): void {
    this.#socket = socket
    socket.once('close', () => this.#memory.forget(this))
  }

  next = (): Uint8Array => (this.#ready ??= this.#memory.take(this))

  received = (bytes: number, buffer: Uint8Array): boolean => {
    const piece = buffer.subarray(0, bytes)
    if (bytes <= buffer.length * WORTH_KEEPING) return this.#socket?.push(Buffer.from(piece)) ?? false
    this.#ready = null
    return this.#socket?.push(piece) ?? false
  }
}

/**
 * The body of an answer: taken piece by piece with `next`, without a stream's steps for each of them, or read as a
 * stream, as the SDK does with errors; never both. What is not taken is not received either, but for one piece.
 */
export class ResponseBody extends Readable {
  readonly #memory: ReceiveMemory | undefined
  readonly #controller: Dispatcher.DispatchController
  #held: Uint8Array[] = []
  #ended = false
  #waiter: PromiseWithResolvers<Uint8Array | null> | null = null

  constructor(memory: ReceiveMemory | undefined, controller: Dispatcher.DispatchController) {
    super()
    this.#memory = memory
    this.#controller = controller
  }

  /**
   * The next piece, `null` after the last one. It is the caller's, to be given back to the memory it came in. One call
   * at a time. @throws why the body broke off, or was destroyed
   */
  next(): Promise<Uint8Array | null> {
    const piece = this.#held.shift()
    if (piece) {
      this.#receiveMore()
      return Promise.resolve(piece)
    }
    if (this.#ended) return Promise.resolve(null)
    if (this.destroyed) return Promise.reject(this.errored ?? new Error('The body was destroyed'))
    this.#waiter = Promise.withResolvers()
    return this.#waiter.promise
  }

  /** Told by the connection. */
  arrived(piece: Uint8Array): void {
    // The parser has such ones when it goes on after a pause; they are all views of the same memory.
    if (piece.length === 0) return
    if (this.destroyed) return this.#memory?.release(piece)
    if (this.#waiter) return this.#settle(piece)
    this.#held.push(piece)
    this.#controller.pause()
  }

  /** Told by the connection. */
  ended(): void {
    this.#ended = true
    if (this.#waiter) this.#settle(null)
  }

  override _read(): void {
    this.next().then(
      piece => this.push(piece),
      (error: unknown) => this.destroy(error as Error),
    )
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    const reason = error ?? new Error('The body was destroyed')
    if (!this.#ended) this.#controller.abort(reason)
    for (const piece of this.#held.splice(0)) this.#memory?.release(piece)
    this.#waiter?.reject(reason)
    this.#waiter = null
    done(error)
  }

  #settle(piece: Uint8Array | null): void {
    this.#waiter?.resolve(piece)
    this.#waiter = null
  }

  #receiveMore(): void {
    if (this.#controller.paused) this.#controller.resume()
  }
}

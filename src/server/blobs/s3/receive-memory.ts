import type { Socket } from 'node:net'
import { buildConnector, type Dispatcher } from 'undici'
import { Readable } from 'node:stream'

import { freeMemory } from '../../buffers/buffer-pool.ts'

const LARGE_BYTES = 256 * 1024
const SMALL_BYTES = 32 * 1024

/**
 * The memory for bytes from the service. Large buffers are reused, up to a budget; beyond it a small buffer is
 * allocated and freed after use. A large buffer needs a quarter of the system calls.
 */
export class ReceiveMemory {
  readonly #budgetBytes: number
  readonly #kept: Uint8Array<ArrayBuffer>[] = []
  readonly #lent = new Map<ArrayBufferLike, Lent>()
  #largeBytes = 0

  constructor(budgetBytes: number) {
    this.#budgetBytes = budgetBytes
  }

  /** @param owner must call `forget` at its end */
  take(owner: object): Uint8Array<ArrayBuffer> {
    const buffer = this.#large() ?? Buffer.allocUnsafeSlow(SMALL_BYTES)
    this.#lent.set(buffer.buffer, { buffer, owner })
    return buffer
  }

  /** Returns the buffer of a piece that nothing reads any more. Foreign memory is freed. */
  release(piece: Uint8Array): void {
    const buffer = this.#lent.get(piece.buffer)?.buffer
    this.#lent.delete(piece.buffer)
    if (buffer?.length === LARGE_BYTES) this.#kept.push(buffer)
    else freeMemory(buffer ?? piece)
  }

  /** For a piece that a failed write may still read: its memory is never reused. */
  discard(piece: Uint8Array): void {
    if (this.#lent.get(piece.buffer)?.buffer.length === LARGE_BYTES) this.#largeBytes -= LARGE_BYTES
    this.#lent.delete(piece.buffer)
  }

  /** Discards all buffers of an owner that were not released. */
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

/** A piece that fills less of its buffer is copied: it may be held for long, while the buffer takes the next bytes. */
const MIN_FILL = 1 / 4
/** One piece at a time: a stream would join two buffers by a copy. */
const HIGH_WATER_MARK = 1

/**
 * Connects undici to the service so that bytes arrive in `memory`; Node would allocate a buffer of 64 KiB for each
 * read. TLS is left alone: there Node allocates a buffer for each record of 16 KiB.
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

/** The buffers of one connection: one is always ready for the next read. */
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
    if (bytes <= buffer.length * MIN_FILL) return this.#socket?.push(Buffer.from(piece)) ?? false
    this.#ready = null
    return this.#socket?.push(piece) ?? false
  }
}

/**
 * The body of a response: read piece by piece with `next`, without the cost of a stream, or as a stream, as the SDK
 * reads errors; never both. At most one piece is received ahead.
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
   * The next piece, `null` after the last one. The caller releases it to its memory. One call at a time.
   * @throws why the body broke off, or was destroyed
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

  /** Called by the connection. */
  arrived(piece: Uint8Array): void {
    // The parser emits empty pieces after a pause; they are all views of the same memory.
    if (piece.length === 0) return
    if (this.destroyed) return this.#memory?.release(piece)
    if (this.#waiter) return this.#settle(piece)
    this.#held.push(piece)
    this.#controller.pause()
  }

  /** Called by the connection. */
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

import type { IncomingMessage } from 'node:http'

import { abortableSource } from '../../common/abort-race.ts'
import { SealiftError } from '../../protocol/errors.ts'
import type { Caller } from '../access/caller.ts'
import { freeMemory } from '../buffers/buffer-pool.ts'
import type { HeldMemory, RequestMemory } from '../buffers/request-memory.ts'
import type { RateLimiter } from '../limits/limiter.ts'
import { chargeFor, paceSource } from '../limits/pacing.ts'
import type { ReceivedBytes } from '../transfers/upload/received-bytes.ts'
import type { Exchange } from './exchange.ts'
import type { Pace, StallWatch, Watched } from './stall-watch.ts'

export interface BodyReaderOptions {
  readonly req: IncomingMessage
  readonly watch: StallWatch
  readonly pace: Pace
  /** Called before the first byte is read: sends `100 Continue`. */
  readonly begin: () => void
}

interface Waiter {
  readonly resolve: (result: IteratorResult<Uint8Array>) => void
  readonly reject: (reason: unknown) => void
}

/**
 * The body of a request as a pull stream. Only Node's buffer (64 KiB) is read ahead of the consumer, so a slow disk
 * slows the sender down. A sender that is idle or too slow is `stalled`; only the time that the consumer waits for
 * the sender counts. Stopping early leaves the connection open, so that an error response can still be sent.
 */
export class BodyReader implements AsyncIterableIterator<Uint8Array>, Watched {
  readonly #options: BodyReaderOptions
  #waiter: Waiter | null = null
  #failure: unknown = null
  #started = false
  #waitingSinceMs = 0
  #waitedMs = 0
  /** Arrived while no call of `next` waited. */
  #ahead: Buffer | null = null
  /** Bytes taken from the connection so far. */
  receivedBytes = 0

  constructor(options: BodyReaderOptions) {
    this.#options = options
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  next(): Promise<IteratorResult<Uint8Array>> {
    if (!this.#started) this.#start()
    return new Promise((resolve, reject) => {
      this.#waiter = { resolve, reject }
      this.#waitingSinceMs = performance.now()
      this.#serve()
      if (this.#waiter) this.#options.req.resume()
    })
  }

  return(): Promise<IteratorResult<Uint8Array>> {
    this.#stop()
    this.#waiter?.resolve({ done: true, value: undefined })
    this.#waiter = null
    return Promise.resolve({ done: true, value: undefined })
  }

  overdue(nowMs: number): boolean {
    if (!this.#waiter) return false
    const { idleMs, minimumBytesPerSecond } = this.#options.pace
    const stillMs = nowMs - this.#waitingSinceMs
    if (stillMs >= idleMs) return true
    const waitedMs = this.#waitedMs + stillMs
    return waitedMs >= idleMs && this.receivedBytes < (minimumBytesPerSecond * waitedMs) / 1000
  }

  stall(): void {
    this.fail(new SealiftError('stalled', 'The sender was idle or too slow; send it again'))
  }

  /** Ends the body with an error, also for a waiting `next`. */
  fail(error: unknown): void {
    this.#failure ??= error
    this.#serve()
  }

  #start(): void {
    this.#started = true
    const { req, watch, begin } = this.#options
    // `data` passes on each piece as it was received; `readable` and `read` would copy several into one.
    req.on('data', this.#take)
    req.pause()
    req.on('end', this.#serve)
    req.on('error', this.#serve)
    req.on('close', this.#serve)
    watch.add(this)
    begin()
  }

  #stop(): void {
    const { req, watch } = this.#options
    watch.delete(this)
    req.off('data', this.#take)
    req.off('end', this.#serve)
    req.off('close', this.#serve)
  }

  #take = (chunk: Buffer): void => {
    this.#options.req.pause()
    this.#ahead = chunk
    this.#serve()
  }

  #serve = (): void => {
    const waiter = this.#waiter
    if (!waiter) return
    const { req } = this.#options
    if (this.#failure) return this.#settle(() => waiter.reject(this.#failure))
    const chunk = this.#ahead
    if (chunk) {
      this.#ahead = null
      this.receivedBytes += chunk.length
      return this.#settle(() => waiter.resolve({ done: false, value: chunk }))
    }
    if (req.readableEnded) return this.#settle(() => waiter.resolve({ done: true, value: undefined }), true)
    if (req.destroyed) {
      this.#failure = new SealiftError('aborted', 'The sender closed the connection')
      this.#settle(() => waiter.reject(this.#failure), true)
    }
  }

  #settle(settle: () => void, over = false): void {
    this.#waiter = null
    this.#waitedMs += performance.now() - this.#waitingSinceMs
    if (over || this.#failure) this.#stop()
    settle()
  }
}

/** What moving the body of a request or a response needs. */
export interface BodyDeps {
  readonly watch: StallWatch
  readonly pace: () => Pace
  readonly rates: RateLimiter
  readonly memory: RequestMemory
}

/**
 * Gives `take` the body as a source that keeps to the client's byte rate. The connection is not cut as idle
 * meanwhile: the reader itself distinguishes a slow sender from a slow server.
 */
export async function receive<T>(
  { watch, pace, rates }: BodyDeps,
  exchange: Exchange,
  { client: { clientId }, tier }: Caller,
  take: (source: ReceivedBytes) => Promise<T>,
): Promise<T> {
  const reader = new BodyReader({ req: exchange.req, watch, pace: pace(), begin: () => exchange.sendContinue() })
  const charge = chargeFor(rates, { clientId, tier, direction: 'upload' })
  try {
    return await exchange.withoutIdleTimeout(take(charge ? paceSource(reader, charge, exchange.signal) : reader))
  } finally {
    exchange.receivedBytes = reader.receivedBytes
    await reader.return()
  }
}

/**
 * Waits in a short queue; a stopping server or a closed connection ends the wait. @throws rate_limited, unavailable
 */
export function takeMemory(
  { memory }: BodyDeps,
  exchange: Exchange,
  { client }: Caller,
  bytes: number,
): Promise<HeldMemory> {
  return exchange.whileQueued(memory.take(client.clientId, bytes, exchange.signal))
}

export interface BufferedBody {
  /** Largest size: `Content-Length` where there is one. */
  readonly mostBytes: number
  /** Gets each piece as it arrives; may throw to refuse the body. */
  readonly look: (piece: Uint8Array) => void
  /** The error for more than `mostBytes`. */
  readonly tooLarge: () => Error
  readonly signal: AbortSignal
}

/**
 * Reads the complete body into memory, which the caller has taken before (`takeMemory`). Pieces are copied as they
 * arrive: a body in thousands of tiny chunks would otherwise hold an object for each of them.
 */
export async function readBody(
  deps: BodyDeps,
  exchange: Exchange,
  caller: Caller,
  { mostBytes, look, tooLarge, signal }: BufferedBody,
): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = allocate(mostBytes)
  let length = 0
  try {
    await receive(deps, exchange, caller, async source => {
      for await (const piece of abortableSource(source, signal)) {
        if (length + piece.length > mostBytes) throw tooLarge()
        look(piece)
        bytes.set(piece, length)
        length += piece.length
        freeMemory(piece)
      }
    })
  } catch (error) {
    freeMemory(bytes)
    throw error
  }
  return bytes.subarray(0, length)
}

const PAGED_BYTES = 64 * 1024

/**
 * A resizable buffer is allocated in pages, which the system gets back when the buffer is freed. Other buffers come
 * from the allocator of the C library, which retains megabytes for later.
 */
function allocate(bytes: number): Uint8Array<ArrayBuffer> {
  if (bytes <= PAGED_BYTES) return Buffer.allocUnsafeSlow(bytes)
  return new Uint8Array(new ArrayBuffer(bytes, { maxByteLength: bytes }), 0, bytes)
}

/** `null`: the request has no `Content-Length`. */
export function contentLength({ req }: Exchange): number | null {
  const length = req.headers['content-length']
  return length === undefined ? null : Number(length)
}

/** The media type without its parameters; `null`: the request has no `Content-Type`. */
export function contentType({ req }: Exchange): string | null {
  return req.headers['content-type']?.split(';')[0]?.trim().toLowerCase() ?? null
}

import type { IncomingMessage } from 'node:http'

import { SealiftError } from '../../protocol/errors.ts'
import type { Caller } from '../access/caller.ts'
import type { RateLimiter } from '../limits/limiter.ts'
import { chargeFor, paceSource } from '../limits/pacing.ts'
import type { ByteSource } from '../transfers/upload/byte-source.ts'
import type { Exchange } from './exchange.ts'
import type { Pace, StallWatch, Watched } from './stall-watch.ts'

export interface BodyReaderOptions {
  readonly req: IncomingMessage
  readonly watch: StallWatch
  readonly pace: Pace
  /** Called before the first byte is asked for: the moment to say `100 Continue`. */
  readonly begin: () => void
}

interface Waiter {
  readonly resolve: (result: IteratorResult<Uint8Array>) => void
  readonly reject: (reason: unknown) => void
}

/**
 * A request's body as a pull stream. Nothing is read ahead of the consumer but what Node buffers (64 KiB), so a slow
 * disk slows the sender down. A sender that stands still or trickles is `stalled`; only the time the consumer waits
 * for the sender counts against it, never the time the server takes. Stopping early leaves the connection open, so
 * that a refusal can still be answered.
 */
export class BodyReader implements AsyncIterableIterator<Uint8Array>, Watched {
  readonly #options: BodyReaderOptions
  #waiter: Waiter | null = null
  #failure: unknown = null
  #started = false
  #waitingSinceMs = 0
  #waitedMs = 0
  /** Arrived when nobody waited. */
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
    this.fail(new SealiftError('stalled', 'The sender stood still for too long; send it again'))
  }

  /** Ends the body with an error, also for a consumer that waits right now. */
  fail(error: unknown): void {
    this.#failure ??= error
    this.#serve()
  }

  #start(): void {
    this.#started = true
    const { req, watch, begin } = this.#options
    // One piece at a time, as it came from the connection: read in the other way, several are copied into one.
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

  #settle(answer: () => void, over = false): void {
    this.#waiter = null
    this.#waitedMs += performance.now() - this.#waitingSinceMs
    if (over || this.#failure) this.#stop()
    answer()
  }
}

/** What receiving a stream takes. */
export interface Receiving {
  readonly watch: StallWatch
  readonly pace: () => Pace
  readonly rates: RateLimiter
}

/**
 * Gives `take` the body of a request as a source that keeps to the client's rate. The connection is not cut as idle
 * meanwhile: the reader itself knows when the sender, and not the server, is slow.
 */
export async function receive<T>(
  { watch, pace, rates }: Receiving,
  exchange: Exchange,
  { client: { clientId }, tier }: Caller,
  take: (source: ByteSource) => Promise<T>,
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

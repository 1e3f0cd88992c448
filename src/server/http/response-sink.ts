import { SealiftError } from '../../protocol/errors.ts'
import type { ByteSink } from '../blobs/blob-store.ts'
import type { Exchange } from './exchange.ts'
import type { Pace, StallWatch, Watched } from './stall-watch.ts'

export interface ResponseSinkOptions {
  readonly exchange: Exchange
  readonly watch: StallWatch
  readonly pace: Pace
  readonly status: number
  readonly headers: string[]
  /** Length of the body; `null`: unknown, the response is chunked. */
  readonly lengthBytes: number | null
}

/**
 * The body of a response as a sink. The headers are sent with the first bytes, so an earlier failure can still become
 * an error response. `write` resolves when the system has accepted the bytes: a slow reader slows the store down.
 */
export class ResponseSink implements ByteSink, Watched {
  readonly #options: ResponseSinkOptions
  #left: number
  #started = false
  #outstandingBytes = 0
  #takenAtMs = 0
  /** `reject` of each outstanding write; at most two. */
  #pending: ((reason: Error) => void)[] = []

  constructor(options: ResponseSinkOptions) {
    this.#options = options
    this.#left = options.lengthBytes ?? Infinity
  }

  /** True once a byte may have been sent: then an error response is no longer possible. */
  get started(): boolean {
    return this.#started
  }

  write(bytes: Uint8Array): Promise<void> {
    const { exchange } = this.#options
    return new Promise((resolve, reject) => {
      if (exchange.closed) return reject(new SealiftError('aborted', 'The client closed the connection'))
      if (!this.#started) this.#start()
      if (this.#outstandingBytes === 0) this.#takenAtMs = performance.now()
      this.#outstandingBytes += bytes.length
      this.#left -= bytes.length
      this.#pending.push(reject)
      const taken = (error?: Error | null) => {
        if (error) return
        this.#pending.splice(this.#pending.indexOf(reject), 1)
        this.#outstandingBytes -= bytes.length
        this.#takenAtMs = performance.now()
        exchange.sentBytes += bytes.length
        resolve()
      }
      // The last bytes are sent with the end of the response: small media take one write.
      if (this.#left === 0) exchange.res.end(bytes, taken)
      else exchange.res.write(bytes, taken)
    })
  }

  /** Ends a response of unknown length. */
  end(): void {
    if (!this.#started) this.#start()
    this.#options.watch.delete(this)
    if (this.#left > 0) this.#options.exchange.res.end()
  }

  /** Rejects the outstanding writes with `reason`. */
  close(reason: Error | null): void {
    this.#options.watch.delete(this)
    if (reason === null) return
    for (const reject of this.#pending.splice(0)) reject(reason)
  }

  /** A write may take the idle time plus the time of its bytes at the slowest allowed rate. */
  overdue(nowMs: number): boolean {
    if (this.#outstandingBytes === 0) return false
    const { idleMs, minimumBytesPerSecond } = this.#options.pace
    if (minimumBytesPerSecond === 0) return false
    return nowMs - this.#takenAtMs > idleMs + (1000 * this.#outstandingBytes) / minimumBytesPerSecond
  }

  stall(): void {
    this.#options.exchange.cut(new SealiftError('stalled', 'The reader received the bytes too slowly'))
  }

  #start(): void {
    const { exchange, watch, status, headers } = this.#options
    this.#started = true
    exchange.res.writeHead(status, headers)
    watch.add(this)
  }
}

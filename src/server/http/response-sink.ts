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
  /** Bytes the answer has; `null`: nobody knows yet, the answer is chunked. */
  readonly lengthBytes: number | null
}

/**
 * The body of an answer as a sink. The headers go out with the first bytes, so until then a failure can still be
 * answered properly. `write` resolves when the system has taken the bytes: a slow reader slows the store down.
 */
export class ResponseSink implements ByteSink, Watched {
  readonly #options: ResponseSinkOptions
  #left: number
  #started = false
  #outstandingBytes = 0
  #takenAtMs = 0
  /** Of those who wait for bytes to be taken; two at most. */
  #pending: ((reason: Error) => void)[] = []

  constructor(options: ResponseSinkOptions) {
    this.#options = options
    this.#left = options.lengthBytes ?? Infinity
  }

  /** True once a byte of the answer may have left: from then on there is no other answer. */
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
      // The last bytes travel with the end of the answer: a small media goes out in one write.
      if (this.#left === 0) exchange.res.end(bytes, taken)
      else exchange.res.write(bytes, taken)
    })
  }

  /** Ends an answer of unknown length. */
  end(): void {
    if (!this.#started) this.#start()
    this.#options.watch.delete(this)
    if (this.#left > 0) this.#options.exchange.res.end()
  }

  /** Whoever still waits for bytes to be taken is told that they never will be. */
  close(reason: Error | null): void {
    this.#options.watch.delete(this)
    if (reason === null) return
    for (const reject of this.#pending.splice(0)) reject(reason)
  }

  /** A write may take the idle time, and as long again as its bytes take at the slowest speed allowed. */
  overdue(nowMs: number): boolean {
    if (this.#outstandingBytes === 0) return false
    const { idleMs, minimumBytesPerSecond } = this.#options.pace
    if (minimumBytesPerSecond === 0) return false
    return nowMs - this.#takenAtMs > idleMs + (1000 * this.#outstandingBytes) / minimumBytesPerSecond
  }

  stall(): void {
    this.#options.exchange.cut(new SealiftError('stalled', 'The reader took the bytes too slowly'))
  }

  #start(): void {
    const { exchange, watch, status, headers } = this.#options
    this.#started = true
    exchange.res.writeHead(status, headers)
    watch.add(this)
  }
}

import type { IncomingMessage, ServerResponse } from 'node:http'

import { SealiftError } from '../../protocol/errors.ts'
import { HEADER } from '../../protocol/headers.ts'
import type { RouteName } from '../../protocol/routes.ts'
import { ChunkedBody } from './chunked-body.ts'

/** Header names and values in turn, as `writeHead` takes them without copying. */
export type HeaderList = readonly string[]

export interface ExchangeOptions {
  readonly req: IncomingMessage
  readonly res: ServerResponse
  readonly requestId: string
  /** Headers of every response: CORS. */
  readonly baseHeaders: HeaderList
  /** The client waits for `100 Continue` before it sends its body. */
  readonly expectsContinue: boolean
  /** Longest time without a byte on the connection. */
  readonly idleMs: number
}

const nothing = (): void => undefined

/** One request and its response. Owns the abort signal of all work for the request; ends with the response. */
export class Exchange {
  readonly req: IncomingMessage
  readonly res: ServerResponse
  readonly requestId: string
  readonly startedAtMs = performance.now()
  readonly path: string
  readonly query: string
  readonly idleMs: number
  /** `null`: the body has a `Content-Length`, or there is none. */
  readonly chunkedBody: ChunkedBody | null
  route: RouteName | null = null
  clientId: string | null = null
  /** What refused or failed the request, for the log. */
  error: unknown = null
  sentBytes = 0
  receivedBytes = 0
  closed = false
  /** The running handler; `null` once it is done. Never rejects. */
  work: Promise<void> | null = null
  /** True while the rest of the body is read and discarded. */
  draining = false
  /**
   * True once the system has accepted a complete response to an incomplete request: the connection may end after it.
   */
  respondedEarly = false
  /** True while the request is queued, or waits for a new version. */
  waiting = false
  /** Closed with the response or the connection, so that no write waits any longer. */
  sink: { close(reason: Error | null): void } | null = null
  /** Called once the handler is done. */
  settle: () => void = nothing
  readonly #baseHeaders: HeaderList
  #expectsContinue: boolean
  #controller: AbortController | null = null
  #abortReason: Error | null = null
  /** Running calls of `withoutIdleTimeout`; they may be nested. */
  #idleTimeoutsOff = 0

  constructor({ req, res, requestId, baseHeaders, expectsContinue, idleMs }: ExchangeOptions) {
    this.req = req
    this.res = res
    this.requestId = requestId
    this.idleMs = idleMs
    this.#baseHeaders = baseHeaders
    this.#expectsContinue = expectsContinue
    this.chunkedBody = req.headers['transfer-encoding'] === undefined ? null : new ChunkedBody(req)
    const url = req.url ?? '/'
    const queryAt = url.indexOf('?')
    this.path = queryAt < 0 ? url : url.slice(0, queryAt)
    this.query = queryAt < 0 ? '' : url.slice(queryAt + 1)
  }

  /** Aborts when the connection closes early or the exchange is cut. */
  get signal(): AbortSignal {
    this.#controller ??= new AbortController()
    if (this.#abortReason && !this.#controller.signal.aborted) this.#controller.abort(this.#abortReason)
    return this.#controller.signal
  }

  /** True while the client holds its body back. */
  get awaitsContinue(): boolean {
    return this.#expectsContinue
  }

  /** Lets the client send its body. */
  sendContinue(): void {
    if (!this.#expectsContinue) return
    this.#expectsContinue = false
    this.res.writeContinue()
  }

  /**
   * Stops the work. Before the response has begun, the client gets `reason` as the error; afterwards the connection
   * is cut.
   */
  abort(reason: Error): void {
    this.#abortReason ??= reason
    this.#controller?.abort(reason)
    this.sink?.close(reason)
  }

  /** @throws the reason of an abort that came before the work began */
  assertOpen(): void {
    if (this.#abortReason) throw this.#abortReason
  }

  /** Breaks the connection: the only honest end of a response that cannot be completed. */
  cut(reason: Error): void {
    this.error ??= reason
    this.abort(reason)
    this.res.destroy()
  }

  /** The response is complete, or the connection is closed. */
  onClose(): void {
    this.closed = true
    if (this.res.writableFinished) return this.sink?.close(null)
    const reason = this.#abortReason ?? new SealiftError('aborted', 'The client closed the connection')
    this.abort(reason)
    this.sink?.close(reason)
  }

  /** Like `withoutIdleTimeout`, for work that has moved no byte yet: a stopping server ends it at once. */
  async whileQueued<T>(work: Promise<T>): Promise<T> {
    this.waiting = true
    try {
      return await this.withoutIdleTimeout(work)
    } finally {
      this.waiting = false
    }
  }

  /** While `work` runs, silence on the connection is caused by the server, so it does not count as idle. */
  async withoutIdleTimeout<T>(work: Promise<T>): Promise<T> {
    this.req.socket.setTimeout(0)
    this.#idleTimeoutsOff += 1
    try {
      return await work
    } finally {
      this.#idleTimeoutsOff -= 1
      if (this.#idleTimeoutsOff === 0) this.req.socket.setTimeout(this.idleMs)
    }
  }

  /** The headers of the response: those of every response, then `more`. */
  headers(...more: readonly string[]): string[] {
    const headers = [HEADER.requestId, this.requestId, ...this.#baseHeaders, ...more]
    // The body that was held back never comes; bytes of the next request could be read as that body.
    if (this.#expectsContinue) headers.push('Connection', 'close')
    return headers
  }
}

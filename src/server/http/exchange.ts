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
  /** Headers that every answer carries: CORS. */
  readonly baseHeaders: HeaderList
  /** The client waits for `100 Continue` before it sends its body. */
  readonly expectsContinue: boolean
  /** How long a connection may stand still. */
  readonly idleMs: number
}

const nothing = (): void => undefined

/** One request and its answer: owns the abort signal of all work done for it, and ends with the response. */
export class Exchange {
  readonly req: IncomingMessage
  readonly res: ServerResponse
  readonly requestId: string
  readonly startedAtMs = performance.now()
  readonly path: string
  readonly query: string
  readonly idleMs: number
  /** `null` for a body with a length, or none. */
  readonly chunkedBody: ChunkedBody | null
  route: RouteName | null = null
  clientId: string | null = null
  /** What refused or failed it, for the log. */
  error: unknown = null
  sentBytes = 0
  receivedBytes = 0
  closed = false
  /** Its handler at work; `null` when that is done. Never rejects. */
  work: Promise<void> | null = null
  /** True once what is left of the body is being thrown away. */
  draining = false
  /** True once the system has taken a whole answer that came before the whole request: the connection may be cut after it. */
  respondedEarly = false
  /** True while it stands in line, or waits for something new. */
  waiting = false
  /** Told when the answer or the connection ends, so that nothing waits for bytes to be taken any more. */
  sink: { close(reason: Error | null): void } | null = null
  /** Called once its handler is done. */
  settle: () => void = nothing
  readonly #baseHeaders: HeaderList
  #expectsContinue: boolean
  #controller: AbortController | null = null
  #abortReason: Error | null = null
  /** Waits at work now; one may be part of another. */
  #patience = 0

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

  /** Aborts when the client goes away or the exchange is cut. */
  get signal(): AbortSignal {
    this.#controller ??= new AbortController()
    if (this.#abortReason && !this.#controller.signal.aborted) this.#controller.abort(this.#abortReason)
    return this.#controller.signal
  }

  /** True while the client still holds its body back. */
  get awaitsContinue(): boolean {
    return this.#expectsContinue
  }

  /** Lets the client send its body. */
  sendContinue(): void {
    if (!this.#expectsContinue) return
    this.#expectsContinue = false
    this.res.writeContinue()
  }

  /** Stops the work; what has not been answered yet is answered with `reason`, what has begun is cut. */
  abort(reason: Error): void {
    this.#abortReason ??= reason
    this.#controller?.abort(reason)
    this.sink?.close(reason)
  }

  /** @throws the reason when it was aborted before its work began */
  assertOpen(): void {
    if (this.#abortReason) throw this.#abortReason
  }

  /** Breaks the connection: the only honest end of an answer that cannot be finished. */
  cut(reason: Error): void {
    this.error ??= reason
    this.abort(reason)
    this.res.destroy()
  }

  /** The connection's end, however it came. */
  onClose(): void {
    this.closed = true
    if (this.res.writableFinished) return this.sink?.close(null)
    const reason = this.#abortReason ?? new SealiftError('aborted', 'The client closed the connection')
    this.abort(reason)
    this.sink?.close(reason)
  }

  /** As `withoutIdleTimeout`, for a wait that has moved no byte yet: it is given up at once when the server stops. */
  async whileQueued<T>(work: Promise<T>): Promise<T> {
    this.waiting = true
    try {
      return await this.withoutIdleTimeout(work)
    } finally {
      this.waiting = false
    }
  }

  /** While `work` runs, a silent connection is the server's doing and not cut as idle. */
  async withoutIdleTimeout<T>(work: Promise<T>): Promise<T> {
    this.req.socket.setTimeout(0)
    this.#patience += 1
    try {
      return await work
    } finally {
      this.#patience -= 1
      if (this.#patience === 0) this.req.socket.setTimeout(this.idleMs)
    }
  }

  /** Resolves when the client has the whole answer, or is gone. */
  finished(): Promise<void> {
    if (this.closed || this.res.writableFinished) return Promise.resolve()
    return new Promise(resolve => {
      this.res.once('finish', resolve).once('close', resolve)
    })
  }

  headers(...more: string[]): string[] {
    const headers = [HEADER.requestId, this.requestId, ...this.#baseHeaders, ...more]
    // A body that was held back never comes, and what follows on the connection could be taken for it.
    if (this.#expectsContinue) headers.push('Connection', 'close')
    return headers
  }
}

/**
 * The listener: what a connection may cost before and between requests, and how everything ends.
 *
 * [Note: timeouts] Node's own `requestTimeout` would cut every upload that takes longer, so it is off. Instead
 * headers must arrive within `HEADERS_TIMEOUT_MS`, an idle connection is cut after `idleMs`, and `StallWatch` cuts
 * transfers that make no progress.
 */
import { randomBytes } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'

import { SealiftError } from '../../protocol/errors.ts'
import { clientNetwork, normaliseAddress } from '../access/client-address.ts'
import { corsHeaders } from './cors.ts'
import type { Dispatcher } from './dispatch.ts'
import { sendRawError } from './error-response.ts'
import { Exchange } from './exchange.ts'

const HEADERS_TIMEOUT_MS = 15_000
const CHECK_EVERY_MS = 5000
const KEEP_ALIVE_MS = 65_000
const MAX_HEADER_BYTES = 16 * 1024
const MAX_HEADERS = 100
/** Open requests of one connection; one more ends the connection. */
const MAX_PIPELINED = 32
/** After the grace time, errors may still be written for this long before the connections are closed. */
const LAST_WRITES_MS = 200

/** Settings that a reload may change. */
export interface ServerTerms {
  readonly idleMs: number
  readonly maxConnectionsPerAddress: number
  readonly corsOrigins: readonly string[]
}

export interface HttpServerOptions {
  readonly dispatcher: Dispatcher
  readonly terms: () => ServerTerms
  readonly maxConnections: number
  /** Trusted proxies bring many clients over few addresses. */
  readonly isTrustedProxy: (address: string) => boolean
  /** Called after each exchange, however it ended. */
  readonly onEnd: (exchange: Exchange) => void
}

export interface ListenOptions {
  readonly host: string
  readonly port: number
  /** Connections that the system queues until they are accepted. */
  readonly backlog: number
}

export class HttpServer {
  readonly #options: HttpServerOptions
  readonly #server: Server
  readonly #newRequestId = requestIds()
  /** Exchanges whose handler or response is not done. */
  readonly #open = new Set<Exchange>()
  readonly #pipelines = new WeakMap<Socket, Pipeline>()
  #stopping = false
  #onIdle: () => void = () => undefined

  constructor(options: HttpServerOptions) {
    this.#options = options
    this.#server = createServer({
      headersTimeout: HEADERS_TIMEOUT_MS,
      requestTimeout: 0,
      connectionsCheckingInterval: CHECK_EVERY_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
      maxHeaderSize: MAX_HEADER_BYTES,
      requireHostHeader: false,
      insecureHTTPParser: false,
    })
    this.#server.maxHeadersCount = MAX_HEADERS
    this.#server.maxConnections = options.maxConnections
    this.#addListeners(this.#server)
  }

  /** Resolves with the address it listens on. */
  async listen({ host, port, backlog }: ListenOptions): Promise<AddressInfo> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#server.once('error', reject)
    this.#server.listen({ host, port, backlog }, resolve)
    await promise
    this.#server.off('error', reject)
    return this.#server.address() as AddressInfo
  }

  /** Accepts nothing new, cuts what still runs after `graceMs`; resolves when no handler runs any more. */
  async stop(graceMs: number): Promise<void> {
    this.#stopping = true
    const { promise: closed, resolve } = Promise.withResolvers<void>()
    this.#server.close(() => resolve())
    this.#abortRunning(exchange => exchange.waiting)
    await this.#idleWithin(graceMs)
    this.#abortRunning(() => true)
    await this.#idleWithin(LAST_WRITES_MS)
    this.#server.closeAllConnections()
    await closed
    for (const { work } of this.#open) await work
  }

  #addListeners(server: Server): void {
    const limit = new ConnectionLimit(this.#options)
    server.on('connection', (socket: Socket) => {
      // Read for each connection, so that a reload applies.
      server.timeout = this.#options.terms().idleMs
      socket.setTimeout(server.timeout)
      limit.admit(socket)
    })
    server.on('request', (req, res) => this.#begin(req, res, false))
    server.on('checkContinue', (req, res) => this.#begin(req, res, true))
    server.on('checkExpectation', (req, res) => this.#begin(req, res, false))
    server.on('clientError', (error: NodeJS.ErrnoException, socket) => sendRawError(socket as Socket, error))
  }

  #begin(req: IncomingMessage, res: ServerResponse, expectsContinue: boolean): void {
    const pipeline = this.#admitTo(req.socket)
    if (pipeline === null) return
    const { idleMs, corsOrigins } = this.#options.terms()
    const baseHeaders = corsHeaders(req, corsOrigins)
    const requestId = this.#newRequestId()
    const exchange = new Exchange({ req, res, requestId, baseHeaders, expectsContinue, idleMs })
    if (this.#stopping) {
      res.shouldKeepAlive = false
      exchange.abort(stoppingError())
    }
    res.on('close', () => {
      pipeline.requests -= 1
      exchange.onClose()
      this.#endIfDone(exchange)
    })
    this.#open.add(exchange)
    exchange.work = this.#run(exchange)
  }

  /**
   * Bounds pipelining: one read of a connection can hold thousands of requests, whose responses stay in memory until
   * the client reads them. Node still emits the requests of the last read after a connection is cut.
   * @returns `null`: the request is dropped
   */
  #admitTo(socket: Socket): Pipeline | null {
    if (socket.destroyed) return null
    let pipeline = this.#pipelines.get(socket)
    if (pipeline === undefined) this.#pipelines.set(socket, (pipeline = { requests: 0 }))
    if (pipeline.requests === MAX_PIPELINED) {
      socket.destroy()
      return null
    }
    pipeline.requests += 1
    return pipeline
  }

  async #run(exchange: Exchange): Promise<void> {
    await this.#options.dispatcher.serve(exchange)
    exchange.work = null
    this.#endIfDone(exchange)
  }

  /** The handler and the response end in either order. */
  #endIfDone(exchange: Exchange): void {
    if (!exchange.closed || exchange.work) return
    this.#open.delete(exchange)
    this.#options.onEnd(exchange)
    if (!this.#stopping) return
    // A connection that was busy when the server began to stop is closed after its response.
    setImmediate(() => this.#server.closeIdleConnections())
    if (this.#open.size === 0) this.#onIdle()
  }

  #abortRunning(which: (exchange: Exchange) => boolean): void {
    for (const exchange of this.#open) {
      if (exchange.work && which(exchange)) exchange.abort(stoppingError())
    }
  }

  async #idleWithin(ms: number): Promise<void> {
    if (this.#open.size === 0) return
    const { promise, resolve } = Promise.withResolvers<void>()
    const timer = setTimeout(resolve, ms)
    this.#onIdle = resolve
    await promise
    clearTimeout(timer)
  }
}

/** The open requests of one connection. */
interface Pipeline {
  requests: number
}

function stoppingError(): SealiftError {
  return new SealiftError('shutting_down', 'The server is stopping; try again in a few seconds')
}

/** Limits open connections per network; a connection too many is closed before it is read. */
class ConnectionLimit {
  readonly #options: Pick<HttpServerOptions, 'terms' | 'isTrustedProxy'>
  readonly #open = new Map<string, number>()

  constructor(options: Pick<HttpServerOptions, 'terms' | 'isTrustedProxy'>) {
    this.#options = options
  }

  admit(socket: Socket): void {
    const address = normaliseAddress(socket.remoteAddress)
    if (address === null || this.#options.isTrustedProxy(address)) return
    const { maxConnectionsPerAddress } = this.#options.terms()
    const network = clientNetwork(address)
    const open = (this.#open.get(network) ?? 0) + 1
    if (maxConnectionsPerAddress > 0 && open > maxConnectionsPerAddress) {
      socket.destroy()
      return
    }
    this.#open.set(network, open)
    socket.once('close', () => this.#release(network))
  }

  #release(network: string): void {
    const open = (this.#open.get(network) ?? 1) - 1
    if (open === 0) this.#open.delete(network)
    else this.#open.set(network, open)
  }
}

/**
 * Ids that name a request in the log: a random prefix per process, then a counter. They are not secret and grant
 * nothing.
 */
function requestIds(): () => string {
  const prefix = randomBytes(6).toString('base64url')
  let count = 0
  return () => `${prefix}${(count++).toString(36)}`
}

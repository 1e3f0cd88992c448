/**
 * The listener: what every connection may cost before and between requests, and how everything ends.
 *
 * [Note: timeouts] Node's own `requestTimeout` would cut every honest upload that takes longer, so it is off. Instead
 * headers must come within `HEADERS_TIMEOUT_MS`, a connection that stands still is cut after `idleMs`, and transfers
 * watch their own progress (`StallWatch`).
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { randomBytes } from 'node:crypto'

import { SealiftError } from '../../protocol/errors.ts'
import { clientNetwork, normaliseAddress } from '../access/client-address.ts'
import { corsHeaders } from './cors.ts'
import type { Dispatcher } from './dispatch.ts'
import { Exchange } from './exchange.ts'
import { sendRawError } from './error-response.ts'

const HEADERS_TIMEOUT_MS = 15_000
const CHECK_EVERY_MS = 5000
const KEEP_ALIVE_MS = 65_000
const MAX_HEADER_BYTES = 16 * 1024
const MAX_HEADERS = 100
/** Requests of one connection that are read before the first of them is answered; one more ends the connection. */
const MAX_PIPELINED = 32
/** At the end of the grace time refusals are still written; then the connections go. */
const FAREWELL_MS = 200

/** Numbers that may change while the server runs. */
export interface ServerTerms {
  readonly idleMs: number
  readonly maxConnectionsPerAddress: number
  readonly corsOrigins: readonly string[]
}

export interface HttpServerOptions {
  readonly dispatcher: Dispatcher
  readonly terms: () => ServerTerms
  readonly maxConnections: number
  readonly newRequestId: () => string
  /** Proxies, who bring many clients over few addresses. */
  readonly isTrustedProxy: (address: string) => boolean
  /** After each exchange, however it ended. */
  readonly onEnd: (exchange: Exchange) => void
}

export interface ListenOptions {
  readonly host: string
  readonly port: number
  readonly backlog: number
}

export class HttpServer {
  readonly #options: HttpServerOptions
  readonly #server: Server
  /** Exchanges whose work or answer is not over. */
  readonly #open = new Set<Exchange>()
  /** Of each connection. */
  readonly #unanswered = new WeakMap<Socket, number>()
  #stopping = false
  #tellIdle: () => void = () => undefined

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
    this.#listenTo(this.#server)
  }

  /** Resolves with where it listens. `backlog`: connections that the system keeps until they are accepted. */
  async listen({ host, port, backlog }: ListenOptions): Promise<AddressInfo> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#server.once('error', reject)
    this.#server.listen({ host, port, backlog }, resolve)
    await promise
    this.#server.off('error', reject)
    return this.#server.address() as AddressInfo
  }

  /** Takes nothing new, lets what runs go on for `graceMs`, then cuts it; resolves when no handler runs any more. */
  async stop(graceMs: number): Promise<void> {
    this.#stopping = true
    const { promise: closed, resolve } = Promise.withResolvers<void>()
    this.#server.close(() => resolve())
    this.#abortRunning(exchange => exchange.waiting)
    await this.#idleWithin(graceMs)
    this.#abortRunning(() => true)
    await this.#idleWithin(FAREWELL_MS)
    this.#server.closeAllConnections()
    await closed
    for (const { work } of this.#open) await work
  }

  #listenTo(server: Server): void {
    const guard = new ConnectionGuard(this.#options)
    server.on('connection', (socket: Socket) => {
      // Read for each connection, so that a reload applies; a request that waits for the server lifts it meanwhile.
      server.timeout = this.#options.terms().idleMs
      socket.setTimeout(server.timeout)
      guard.admit(socket)
    })
    server.on('request', (req, res) => this.#begin(req, res, false))
    server.on('checkContinue', (req, res) => this.#begin(req, res, true))
    server.on('checkExpectation', (req, res) => this.#begin(req, res, false))
    server.on('clientError', (error: NodeJS.ErrnoException, socket) => sendRawError(socket as Socket, error))
  }

  #begin(req: IncomingMessage, res: ServerResponse, expectsContinue: boolean): void {
    if (!this.#mayPipeline(req.socket, res)) return
    const { terms, newRequestId } = this.#options
    const { idleMs, corsOrigins } = terms()
    const baseHeaders = corsHeaders(req, corsOrigins)
    const exchange = new Exchange({ req, res, requestId: newRequestId(), baseHeaders, expectsContinue, idleMs })
    if (this.#stopping) {
      res.shouldKeepAlive = false
      exchange.abort(stoppingError())
    }
    // The end is told when both the answer and the work for it are over, in whichever order.
    res.on('close', () => {
      exchange.onClose()
      this.#endIfOver(exchange)
    })
    this.#open.add(exchange)
    exchange.work = this.#run(exchange)
  }

  /**
   * Thousands of requests fit into one read of a connection, and what answers them is held in memory until the client
   * takes it. A connection that is cut still brings the requests that were read with the last one.
   */
  #mayPipeline(socket: Socket, res: ServerResponse): boolean {
    if (socket.destroyed) return false
    const unanswered = (this.#unanswered.get(socket) ?? 0) + 1
    if (unanswered > MAX_PIPELINED) {
      socket.destroy()
      return false
    }
    this.#unanswered.set(socket, unanswered)
    res.on('close', () => this.#unanswered.set(socket, (this.#unanswered.get(socket) ?? 1) - 1))
    return true
  }

  async #run(exchange: Exchange): Promise<void> {
    await this.#options.dispatcher.serve(exchange)
    exchange.work = null
    this.#endIfOver(exchange)
  }

  #endIfOver(exchange: Exchange): void {
    if (!exchange.closed || exchange.work) return
    this.#open.delete(exchange)
    this.#options.onEnd(exchange)
    if (!this.#stopping) return
    // A connection that was busy when the server began to stop is closed once its answer is out.
    setImmediate(() => this.#server.closeIdleConnections())
    if (this.#open.size === 0) this.#tellIdle()
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
    this.#tellIdle = resolve
    await promise
    clearTimeout(timer)
  }
}

function stoppingError(): SealiftError {
  return new SealiftError('shutting_down', 'The server is stopping; try again in a few seconds')
}

export interface ConnectionGuardOptions {
  readonly terms: () => { readonly maxConnectionsPerAddress: number }
  readonly isTrustedProxy: (address: string) => boolean
}

/** Counts open connections of each address; one too many is closed before it says a word. */
export class ConnectionGuard {
  readonly #options: ConnectionGuardOptions
  readonly #open = new Map<string, number>()

  constructor(options: ConnectionGuardOptions) {
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
    socket.once('close', () => this.#forget(network))
  }

  #forget(network: string): void {
    const open = (this.#open.get(network) ?? 1) - 1
    if (open === 0) this.#open.delete(network)
    else this.#open.set(network, open)
  }
}

/** Ids that name a request in the log: random for each process, then counted. They are no secret and no right. */
export function createRequestIds(): () => string {
  const process = randomBytes(6).toString('base64url')
  let count = 0
  return () => `${process}${(count++).toString(36)}`
}

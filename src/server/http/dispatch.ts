/**
 * From a request to its handler. Routes of bytes and health checks are matched here, without a framework; Express
 * routes the others, from the same table. Both pass the gate first, and every failure ends in `fail`.
 */
import express, { type Express, type NextFunction, type Request, type Response } from 'express'

import { SealiftError } from '../../protocol/errors.ts'
import { ROUTES, type RouteName } from '../../protocol/routes.ts'
import { sendEmpty } from './responses.ts'
import { preflightHeaders } from './cors.ts'
import type { Exchange } from './exchange.ts'
import type { Gate, PublicRoute } from './gate.ts'
import { drainRest, dropNeedlessBody, sendError } from './error-response.ts'
import type { RouteTable } from './route-table.ts'

const BYTE_ROUTES = (['readMedia', 'headMedia', 'putPart', 'storeMedia', 'health', 'ready'] as const).map(name => ({
  name,
  method: ROUTES[name].method,
  pattern: new RegExp(`^${ROUTES[name].path.replaceAll(/\{\w+\}/g, '([^/]+)')}$`),
}))

const NAMES = Object.keys(ROUTES) as RouteName[]
const PUBLIC: ReadonlySet<RouteName> = new Set<PublicRoute>(['health', 'ready'])
const MAX_URL_LENGTH = 2048

export interface DispatchOptions {
  readonly gate: Gate
  readonly table: RouteTable
}

export class Dispatcher {
  readonly #options: DispatchOptions
  readonly #app: Express
  readonly #exchanges = new WeakMap<object, Exchange>()

  constructor(options: DispatchOptions) {
    this.#options = options
    this.#app = this.#mount()
  }

  /** Resolves once the handler is done; never rejects. */
  serve(exchange: Exchange): Promise<void> {
    if (!isWellFormed(exchange)) {
      fail(exchange, new SealiftError('invalid_request', 'The request line or the Host header is not well formed'))
      return Promise.resolve()
    }
    dropNeedlessBody(exchange)
    for (const { name, method, pattern } of BYTE_ROUTES) {
      const match = method === exchange.req.method ? pattern.exec(exchange.path) : null
      if (match) return this.#run(exchange, name, match.slice(1))
    }
    return this.#serveByExpress(exchange)
  }

  async #run(exchange: Exchange, name: RouteName, parameters: readonly string[]): Promise<void> {
    const { gate, table } = this.#options
    exchange.route = name
    try {
      if (isPublic(name)) await table[name](exchange)
      else {
        exchange.assertOpen()
        const admitted = gate.admit(exchange, name)
        await table[name](exchange, admitted instanceof Promise ? await admitted : admitted, parameters)
      }
    } catch (error) {
      fail(exchange, error)
    }
    drainRest(exchange)
  }

  #serveByExpress(exchange: Exchange): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#exchanges.set(exchange.req, exchange)
    exchange.settle = resolve
    this.#app(exchange.req as Request, exchange.res as Response)
    return promise
  }

  #mount(): Express {
    const app = express()
    app.disable('x-powered-by').disable('etag').enable('case sensitive routing').enable('strict routing')
    const others = NAMES.filter(name => !BYTE_ROUTES.some(route => route.name === name))
    for (const name of others) this.#mountRoute(app, name)
    for (const path of new Set(NAMES.map(name => ROUTES[name].path))) this.#mountOtherMethods(app, path)
    app.use((req: Request) => {
      if (req.method === 'OPTIONS' && req.url === '*') return this.#empty(req, [])
      throw new SealiftError('not_found', 'There is no such route')
    })
    app.use((error: unknown, req: Request, _res: Response, _next: NextFunction) => {
      const exchange = this.#exchangeOf(req)
      fail(exchange, isMalformedUrl(error) ? new SealiftError('invalid_request', 'The URL is not well formed') : error)
      drainRest(exchange)
      exchange.settle()
    })
    return app
  }

  #mountRoute(app: Express, name: RouteName): void {
    const { method, path } = ROUTES[name]
    const verb = method.toLowerCase() as 'get' | 'post' | 'put' | 'delete'
    app[verb](expressPath(path), async (req: Request) => {
      const exchange = this.#exchangeOf(req)
      await this.#run(exchange, name, Object.values(req.params).map(String))
      exchange.settle()
    })
  }

  /** Other methods of a path: a preflight, or an error. */
  #mountOtherMethods(app: Express, path: string): void {
    const methods = NAMES.filter(name => ROUTES[name].path === path).map(name => ROUTES[name].method)
    app.all(expressPath(path), (req: Request) => {
      if (req.method === 'OPTIONS') return this.#empty(req, preflightHeaders(methods))
      throw new SealiftError('method_not_allowed', `This route takes ${methods.join(', ')}`, {
        context: { allow: `${methods.join(', ')}, OPTIONS` },
      })
    })
  }

  #empty(req: Request, headers: readonly string[]): void {
    const exchange = this.#exchangeOf(req)
    sendEmpty(exchange, 204, headers)
    drainRest(exchange)
    exchange.settle()
  }

  #exchangeOf(req: Request): Exchange {
    const exchange = this.#exchanges.get(req)
    if (!exchange) throw new Error('Express got a request that the dispatcher does not know')
    return exchange
  }
}

function expressPath(path: string): string {
  return path.replaceAll(/\{(\w+)\}/g, ':$1')
}

function isPublic(name: RouteName): name is PublicRoute {
  return PUBLIC.has(name)
}

function isWellFormed({ req: { url = '', headers, httpVersion } }: Exchange): boolean {
  if (url.length > MAX_URL_LENGTH || !(url.startsWith('/') || url === '*')) return false
  return headers.host !== undefined || httpVersion !== '1.1'
}

/** Express itself refuses a path with a broken percent-encoding. */
function isMalformedUrl(error: unknown): boolean {
  return error instanceof URIError || (error instanceof Error && 'status' in error && error.status === 400)
}

/** A problem document while the response has not begun, afterwards a cut connection: never a short 200. */
function fail(exchange: Exchange, error: unknown): void {
  exchange.error = error
  if (exchange.closed || exchange.res.destroyed) return
  if (exchange.res.headersSent) return exchange.cut(error instanceof Error ? error : new Error(String(error)))
  sendError(exchange, error)
}

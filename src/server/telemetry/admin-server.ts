/** Metrics and health on a listener of their own, apart from what the world reaches. */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, ListenOptions } from 'node:net'

import { isOwnHost, type AdminPlace } from './admin-place.ts'
import type { HealthCheck } from './health.ts'
import type { Metrics } from './metrics.ts'

export interface AdminServerOptions {
  readonly place: AdminPlace
  readonly metrics: Pick<Metrics, 'read'>
  readonly health: Pick<HealthCheck, 'readiness'>
  /** Told of what must not happen. */
  readonly onError: (error: unknown) => void
}

export interface AdminServer extends AsyncDisposable {
  /** Where it listens, without a slash at the end. */
  readonly url: string
}

interface Answer {
  readonly status: number
  readonly contentType: string
  readonly body: string
}

/** Starts to listen. Rejects with the system's error when it cannot. */
export async function startAdminServer(options: AdminServerOptions): Promise<AdminServer> {
  const server = createServer({ headersTimeout: 5000, requestTimeout: 10_000 }, (req, res) => {
    void answerSafely(options, req, res)
  })
  server.maxConnections = 256
  await listenAt(server, options.place)
  server.on('error', options.onError)
  const { port } = server.address() as AddressInfo
  const host = options.place.host.includes(':') ? `[${options.place.host}]` : options.place.host
  return {
    url: `http://${host}:${port}`,
    async [Symbol.asyncDispose]() {
      const closed = new Promise<void>(done => void server.close(() => done()))
      server.closeAllConnections()
      await closed
    },
  }
}

async function listenAt(server: Server, { host, port, mayMove, backlog }: AdminPlace): Promise<void> {
  try {
    await listenOn(server, { host, port, backlog })
  } catch (error) {
    const isTaken = error instanceof Error && 'code' in error && error.code === 'EADDRINUSE'
    if (!mayMove || !isTaken) throw error
    await listenOn(server, { host, port: 0, backlog })
  }
}

async function listenOn(server: Server, options: ListenOptions): Promise<void> {
  server.listen(options)
  await once(server, 'listening')
}

async function answerSafely(options: AdminServerOptions, req: IncomingMessage, res: ServerResponse): Promise<void> {
  req.resume()
  try {
    send(req, res, await answer(options, req))
  } catch (error) {
    options.onError(error)
    send(req, res, { status: 500, contentType: 'text/plain', body: 'failed\n' })
  }
}

async function answer(
  { metrics, health, place }: AdminServerOptions,
  { method, url = '', headers }: IncomingMessage,
): Promise<Answer> {
  if (!isOwnHost(place, headers.host)) return misdirected()
  if (method !== 'GET' && method !== 'HEAD') return plain(405, 'only GET and HEAD\n')
  const [path] = url.split('?')
  if (path === '/metrics') return { status: 200, ...(await metrics.read()) }
  if (path === '/healthz') return json(200, { status: 'ok' })
  if (path === '/readyz') {
    const ready = await health.readiness()
    return json(ready.status === 'ok' ? 200 : 503, ready)
  }
  return plain(404, 'there are /metrics, /healthz and /readyz\n')
}

function misdirected(): Answer {
  const detail = 'This listener is not known by that name: call it by its address, or add the name to admin.hosts'
  const problem = { type: 'about:blank', title: 'Misdirected Request', status: 421, detail }
  return { status: 421, contentType: 'application/problem+json', body: JSON.stringify(problem) }
}

function json(status: number, value: unknown): Answer {
  return { status, contentType: 'application/json', body: JSON.stringify(value) }
}

function plain(status: number, body: string): Answer {
  return { status, contentType: 'text/plain', body }
}

function send(req: IncomingMessage, res: ServerResponse, { status, contentType, body }: Answer): void {
  if (res.headersSent) return
  res.writeHead(status, {
    'Content-Type': contentType,
    'Content-Length': Buffer.byteLength(body),
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
    ...(status === 405 ? { Allow: 'GET, HEAD' } : {}),
  })
  res.end(req.method === 'HEAD' ? undefined : body)
}

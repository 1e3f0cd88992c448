/** Metrics and health on a listener of their own, apart from what the world reaches. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

import type { HealthCheck } from './health.ts'
import type { Metrics } from './metrics.ts'

export interface AdminServerOptions {
  readonly host: string
  /** 0: any free one. */
  readonly port: number
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
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  server.once('error', reject)
  server.listen(options.port, options.host, resolve)
  await promise
  server.off('error', reject).on('error', options.onError)
  const { port } = server.address() as AddressInfo
  const host = options.host.includes(':') ? `[${options.host}]` : options.host
  return {
    url: `http://${host}:${port}`,
    async [Symbol.asyncDispose]() {
      const closed = new Promise<void>(done => void server.close(() => done()))
      server.closeAllConnections()
      await closed
    },
  }
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

async function answer({ metrics, health }: AdminServerOptions, { method, url = '' }: IncomingMessage): Promise<Answer> {
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

/** Metrics and health, on a listener of their own that clients do not reach. */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { type AddressInfo, isIP, type ListenOptions } from 'node:net'

import { isLoopbackAddress, normaliseAddress } from '../access/client-address.ts'
import { isLoopbackHost } from '../config/cross-checks.ts'
import type { ServerConfig } from '../config/config-schema.ts'
import type { HealthCheck } from './health.ts'
import type { Metrics } from './metrics.ts'

export const DEFAULT_ADMIN_PORT = 7326

export interface AdminAddress {
  readonly host: string
  /** 0: any free port. */
  readonly port: number
  /** Whether any free port will do where `port` is in use: it is a default, not a setting. */
  readonly mayMove: boolean
  /** Accepted names in `Host`, beside localhost and IP addresses. */
  readonly hosts: readonly string[]
  readonly backlog: number
}

/** The address of the admin listener by a configuration. */
export function adminAddress({ admin, listen }: Pick<ServerConfig, 'admin' | 'listen'>): AdminAddress {
  const { host, hosts } = admin
  const { backlog } = listen
  if (admin.port !== null) return { host, hosts, backlog, port: admin.port, mayMove: false }
  return { host, hosts, backlog, port: listen.port === DEFAULT_ADMIN_PORT ? 0 : DEFAULT_ADMIN_PORT, mayMove: true }
}

export interface AdminServerOptions {
  readonly address: AdminAddress
  readonly metrics: Pick<Metrics, 'read'>
  readonly health: Pick<HealthCheck, 'readiness'>
  /** Gets unexpected failures. */
  readonly onError: (error: unknown) => void
}

export interface AdminServer extends AsyncDisposable {
  /** The URL it listens on, without a slash at the end. */
  readonly url: string
}

interface AdminResponse {
  readonly status: number
  readonly contentType: string
  readonly body: string
}

/** Rejects with the system's error when the port cannot be opened. */
export async function startAdminServer(options: AdminServerOptions): Promise<AdminServer> {
  const server = createServer({ headersTimeout: 5000, requestTimeout: 10_000 }, (req, res) => {
    void respond(options, req, res)
  })
  server.maxConnections = 256
  await listenAt(server, options.address)
  server.on('error', options.onError)
  const { port } = server.address() as AddressInfo
  const host = options.address.host.includes(':') ? `[${options.address.host}]` : options.address.host
  return {
    url: `http://${host}:${port}`,
    async [Symbol.asyncDispose]() {
      const closed = new Promise<void>(done => void server.close(() => done()))
      server.closeAllConnections()
      await closed
    },
  }
}

async function listenAt(server: Server, { host, port, mayMove, backlog }: AdminAddress): Promise<void> {
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

async function respond(options: AdminServerOptions, req: IncomingMessage, res: ServerResponse): Promise<void> {
  req.resume()
  try {
    send(req, res, await responseTo(options, req))
  } catch (error) {
    options.onError(error)
    send(req, res, { status: 500, contentType: 'text/plain', body: 'failed\n' })
  }
}

async function responseTo(
  { metrics, health, address }: AdminServerOptions,
  { method, url = '', headers }: IncomingMessage,
): Promise<AdminResponse> {
  if (!isOwnHost(address, headers.host)) return misdirected()
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

function misdirected(): AdminResponse {
  const detail = 'This listener is not known by that name: call it by its address, or add the name to admin.hosts'
  const problem = { type: 'about:blank', title: 'Misdirected Request', status: 421, detail }
  return { status: 421, contentType: 'application/problem+json', body: JSON.stringify(problem) }
}

function json(status: number, value: unknown): AdminResponse {
  return { status, contentType: 'application/json', body: JSON.stringify(value) }
}

function plain(status: number, body: string): AdminResponse {
  return { status, contentType: 'text/plain', body }
}

function send(req: IncomingMessage, res: ServerResponse, { status, contentType, body }: AdminResponse): void {
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

/**
 * Whether `Host` names this listener. A web page that makes its own name resolve to this machine (DNS rebinding)
 * sends that name and cannot send an IP address. Browsers always send the header.
 */
function isOwnHost({ host, hosts }: Pick<AdminAddress, 'host' | 'hosts'>, header: string | undefined): boolean {
  if (header === undefined) return true
  const name = URL.parse(`http://${header}`)?.hostname.replace(/^\[|\]$/g, '')
  if (name === undefined) return false
  if (name === 'localhost' || hosts.some(each => each.toLowerCase() === name)) return true
  if (isIP(name) === 0) return false
  return !isLoopbackHost(host) || isLoopbackAddress(normaliseAddress(name) ?? '')
}

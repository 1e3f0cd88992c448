import { Readable } from 'node:stream'

import { Agent, errors } from 'undici'
import type { Dispatcher } from 'undici'

import { SealiftError } from '../../protocol/errors.ts'
import { abortReason } from '../abort.ts'
import type { Transport, TransportRequest, TransportResponse } from '../transport.ts'

/** Large bodies are handed to the socket in slices, so that progress and stalls show while they travel. */
const SLICE_BYTES = 256 * 1024
const CONNECT_TIMEOUT_MS = 15_000
/** Shorter than what servers keep idle connections for, so that none is used in the moment it is closed. */
const KEEP_ALIVE_MS = 4_000

/** How many connections the transport of Node opens. */
export interface UndiciTransportOptions {
  /** Connections to one server at most: requests beyond wait their turn. */
  readonly connections: number
}

/** Sends requests with undici over pooled connections. Disposing it ends requests that still run. */
export function undiciTransport(options: UndiciTransportOptions): Transport {
  const agent = new Agent({
    connections: options.connections,
    connect: { timeout: CONNECT_TIMEOUT_MS },
    keepAliveTimeout: KEEP_ALIVE_MS,
    allowH2: false,
  })
  return {
    request: request => send(agent, request),
    [Symbol.asyncDispose]: () => agent.destroy(),
  }
}

async function send(agent: Agent, request: TransportRequest): Promise<TransportResponse> {
  try {
    const answered = agent.request({
      ...target(request.url),
      method: request.method,
      headers: requestHeaders(request),
      body: requestBody(request),
      signal: request.signal,
      headersTimeout: request.stallTimeoutMs,
      bodyTimeout: request.stallTimeoutMs,
    })
    if (request.body && request.body.byteLength <= SLICE_BYTES) request.onSent?.(request.body.byteLength)
    return answer(await answered, request.signal)
  } catch (error) {
    throw translated(error, request.signal)
  }
}

function target(url: string): { origin: string; path: string } {
  const { origin, pathname, search } = new URL(url)
  return { origin, path: `${pathname}${search}` }
}

function requestHeaders(request: TransportRequest): Record<string, string> {
  const length = request.body?.byteLength ?? 0
  return length > SLICE_BYTES ? { ...request.headers, 'content-length': String(length) } : { ...request.headers }
}

function requestBody({ body, onSent }: TransportRequest): Uint8Array | Readable | null {
  if (!body) return null
  return body.byteLength > SLICE_BYTES ? Readable.from(slices(body, onSent), { highWaterMark: 1 }) : body
}

async function* slices(body: Uint8Array, onSent?: (bytes: number) => void): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < body.byteLength; at += SLICE_BYTES) {
    const slice = body.subarray(at, at + SLICE_BYTES)
    yield slice
    onSent?.(slice.byteLength)
  }
}

function answer(response: Dispatcher.ResponseData, signal: AbortSignal): TransportResponse {
  return {
    status: response.statusCode,
    header: name => first(response.headers[name]),
    body: readBody(response.body, signal),
    discard: async () => {
      // A short rest is read, which keeps the connection; a long one is cut.
      await response.body.dump({ limit: SLICE_BYTES }).catch(() => undefined)
    },
  }
}

async function* readBody(body: AsyncIterable<Uint8Array>, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  try {
    yield* body
  } catch (error) {
    throw translated(error, signal)
  }
}

function first(value: string | string[] | undefined): string | null {
  return (Array.isArray(value) ? value[0] : value) ?? null
}

function translated(error: unknown, signal: AbortSignal): Error {
  if (signal.aborted) return abortReason(signal)
  if (error instanceof SealiftError) return error
  return new SealiftError('network', describe(error), { cause: error })
}

function describe(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  if (code === 'ECONNREFUSED') return 'Nothing answers at the address of the server'
  if (code === 'ENOTFOUND') return 'The name of the server cannot be found'
  const late = error instanceof errors.HeadersTimeoutError || error instanceof errors.BodyTimeoutError
  if (late || error instanceof errors.ConnectTimeoutError) return 'The server was silent for too long'
  return 'The connection to the server broke'
}

import type { LookupFunction } from 'node:net'
import { Readable } from 'node:stream'
import { errors } from 'undici'
import type { Dispatcher } from 'undici'

import { systemCode } from '../../../files/system-failure.ts'
import { SealiftError } from '../../../protocol/errors.ts'
import { abortReason } from '../../concurrency/abort.ts'
import type { Transport, TransportRequest, TransportResponse } from '../../transport/transport.ts'
import { ConnectionPools } from './connection-pools.ts'

/** Large bodies are written to the socket in slices, so that progress and stalls are seen. */
const SLICE_BYTES = 256 * 1024

/** How the transport of Node connects. */
export interface UndiciTransportOptions {
  /** Connections to one server at most: requests beyond wait their turn. */
  readonly connections: number
  /** Resolves names. Default: the system's. */
  readonly lookup?: LookupFunction
  /** Where `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` are looked up. Default: that of the process. */
  readonly environment?: Readonly<Record<string, string | undefined>>
}

/** Sends requests with undici over pooled connections. Disposing it ends requests that still run. */
export function undiciTransport(options: UndiciTransportOptions): Transport {
  const pools = new ConnectionPools(options)
  return {
    // A proxy connects on our behalf, to where it likes.
    judgesConnections: !pools.usesProxy,
    request: request => send(pools, request),
    [Symbol.asyncDispose]: () => pools[Symbol.asyncDispose](),
  }
}

async function send(pools: ConnectionPools, request: TransportRequest): Promise<TransportResponse> {
  try {
    const responding = pools.dispatcherFor(request).request({
      ...target(request.url),
      method: request.method,
      headers: requestHeaders(request),
      body: requestBody(request),
      signal: request.signal,
      headersTimeout: request.stallTimeoutMs,
      bodyTimeout: request.stallTimeoutMs,
    })
    if (request.body && request.body.byteLength <= SLICE_BYTES) request.onSent?.(request.body.byteLength)
    return transportResponse(await responding, request.signal)
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

function transportResponse(response: Dispatcher.ResponseData, signal: AbortSignal): TransportResponse {
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
  return signal.aborted ? abortReason(signal) : connectionError(error)
}

const CERTIFICATE_CODES =
  /^(CERT_|DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT|UNABLE_TO_|ERR_TLS_CERT_|HOSTNAME_MISMATCH)/

export function connectionError(error: unknown): SealiftError {
  if (error instanceof SealiftError) return error
  const code = systemCode(error) ?? ''
  if (CERTIFICATE_CODES.test(code)) return untrusted(error, code)
  // A value that no request can hold will not become better by trying again.
  if (error instanceof errors.InvalidArgumentError)
    return new SealiftError('invalid_request', 'The request holds a value that HTTP cannot carry', { cause: error })
  return new SealiftError('network', describe(error, code), { cause: error })
}

function untrusted(error: unknown, code: string): SealiftError {
  const why = certificateTrouble(code)
  return new SealiftError('untrusted_server', `The certificate of the server is not trusted: ${why}`, { cause: error })
}

function certificateTrouble(code: string): string {
  if (code === 'CERT_HAS_EXPIRED') return 'it has expired'
  if (code === 'CERT_NOT_YET_VALID') return 'it is not valid yet'
  if (code === 'CERT_REVOKED') return 'it was revoked'
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID' || code === 'HOSTNAME_MISMATCH') return 'it is for another name'
  return /SELF_SIGNED/.test(code)
    ? 'it is signed by itself or by an unknown authority'
    : `it cannot be verified (${code})`
}

function describe(error: unknown, code: string): string {
  if (code === 'ECONNREFUSED') return 'Nothing listens at the address of the server'
  if (code === 'ENOTFOUND') return 'The name of the server cannot be found'
  if (code === 'ERR_SSL_WRONG_VERSION_NUMBER' || code === 'ERR_SSL_PACKET_LENGTH_TOO_LONG')
    return 'The server does not speak TLS there: its address may begin with http:// rather than https://'
  const late = error instanceof errors.HeadersTimeoutError || error instanceof errors.BodyTimeoutError
  if (late || error instanceof errors.ConnectTimeoutError) return 'The server was silent for too long'
  return 'The connection to the server broke'
}

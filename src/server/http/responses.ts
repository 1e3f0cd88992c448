/** Small responses: JSON, empty, or bytes in memory. */
import { OCTET_STREAM } from '../../protocol/headers.ts'
import type { Exchange } from './exchange.ts'

const JSON_HEADERS = [
  'Content-Type',
  'application/json; charset=utf-8',
  'Cache-Control',
  'no-store',
  'X-Content-Type-Options',
  'nosniff',
]

export function sendJson(exchange: Exchange, status: number, value: unknown, headers: readonly string[] = []): void {
  sendText(exchange, status, JSON.stringify(value), [...JSON_HEADERS, ...headers])
}

export function sendText(exchange: Exchange, status: number, text: string, headers: readonly string[]): void {
  sendBytes(exchange, status, Buffer.from(text), headers)
}

/** The bytes are not copied; many responses may share them. */
export function sendBytes(exchange: Exchange, status: number, body: Uint8Array, headers: readonly string[]): void {
  exchange.sentBytes = body.length
  exchange.res.writeHead(status, exchange.headers('Content-Length', String(body.length), ...headers))
  exchange.res.end(exchange.req.method === 'HEAD' ? undefined : body)
}

/** 204, 304: no body and no length. */
export function sendEmpty(exchange: Exchange, status: 204 | 304, headers: readonly string[] = []): void {
  exchange.res.writeHead(status, exchange.headers(...headers))
  exchange.res.end()
}

/** Headers of opaque bytes: never shown inline, never sniffed, usable from any origin that may read them. */
export const OPAQUE_HEADERS = [
  'Content-Type',
  OCTET_STREAM,
  'Content-Disposition',
  'attachment',
  'X-Content-Type-Options',
  'nosniff',
  'Content-Security-Policy',
  "sandbox; default-src 'none'",
  'Cross-Origin-Resource-Policy',
  'cross-origin',
]

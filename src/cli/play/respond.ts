/** Responses of the gateway. A response that cannot be completed is cut, never ended. */
import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'

import type { PlainRange } from '../../client/node/index.ts'
import { parseRange, resolveRange } from '../../protocol/ranges.ts'
import type { BytesResource, Resource } from './resource.ts'

/** On everything: nothing is kept, guessed at, run, or shown inside another page. */
const HEADERS = {
  'Cache-Control': 'no-store',
  'Content-Security-Policy': "sandbox; default-src 'none'",
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
}

/** The same for all that is not there, or must not be found. */
export function respondNotFound(res: ServerResponse): void {
  const body = 'Not found\n'
  res.writeHead(404, { ...HEADERS, 'Content-Type': 'text/plain', 'Content-Length': body.length })
  res.end(body)
}

/** @param signal aborts when the player has gone */
export async function respond(
  req: IncomingMessage,
  res: ServerResponse,
  { resource, signal }: { readonly resource: Resource; readonly signal: AbortSignal },
): Promise<void> {
  if ('read' in resource) return await respondBytes(req, res, { resource, signal })
  const { type, body } = resource
  res.writeHead(200, { ...HEADERS, 'Content-Type': type, 'Content-Length': Buffer.byteLength(body) })
  res.end(req.method === 'HEAD' ? undefined : body)
}

async function respondBytes(
  req: IncomingMessage,
  res: ServerResponse,
  { resource, signal }: { readonly resource: BytesResource; readonly signal: AbortSignal },
): Promise<void> {
  const { type, totalBytes, readableBytes } = resource
  // There is no validator to compare with, so a condition never holds: section 13.1.5 of RFC 9110.
  const spec = req.headers['if-range'] === undefined ? parseRange(req.headers.range) : null
  // The end is not known yet, so a suffix range has no meaning: the response has all bytes.
  const asked = spec !== null && (totalBytes !== null || (readableBytes > 0 && !('suffixBytes' in spec))) ? spec : null
  const range = asked && resolveRange(asked, readableBytes)
  const common = { ...HEADERS, 'Content-Type': type, 'Accept-Ranges': 'bytes' }
  if (asked && !range) {
    res.writeHead(416, { ...common, 'Content-Range': `bytes */${totalBytes ?? '*'}`, 'Content-Length': 0 })
    res.end()
    return
  }
  res.writeHead(range ? 206 : 200, { ...common, ...extent(range, totalBytes) })
  if (req.method === 'HEAD') res.end()
  else await send(res, resource.read(range, signal), signal)
}

function extent(range: PlainRange | null, totalBytes: number | null): Record<string, string | number> {
  if (!range) return totalBytes === null ? {} : { 'Content-Length': totalBytes }
  const { start, end } = range
  return { 'Content-Range': `bytes ${start}-${end - 1}/${totalBytes ?? '*'}`, 'Content-Length': end - start }
}

async function send(res: ServerResponse, bytes: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<void> {
  for await (const piece of bytes) {
    if (!res.write(piece)) await once(res, 'drain', { signal })
  }
  res.end()
}

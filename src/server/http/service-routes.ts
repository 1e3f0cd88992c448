/** The routes about the server itself: health, the OpenAPI document, limits. */
import { createHash } from 'node:crypto'

import type { Health } from '../../protocol/schemas.ts'
import type { Caller } from '../access/caller.ts'
import { type LimitsReport, reportLimits } from '../limits/limits-report.ts'
import { matchesNone } from './conditions.ts'
import type { Exchange } from './exchange.ts'
import { sendBytes, sendEmpty, sendJson } from './responses.ts'

export interface ServiceRoutes {
  /** Whether storage and records work, and the server is not stopping. */
  readonly readiness: () => Promise<Health>
  readonly contract: Contract
  readonly limits: LimitsReport
}

/** The OpenAPI document as bytes, shared by all responses. */
export interface Contract {
  readonly bytes: Uint8Array
  readonly etag: string
}

/** The document depends on nothing that changes while the server runs. */
export function renderContract(document: unknown): Contract {
  const bytes = Buffer.from(JSON.stringify(document))
  return { bytes, etag: `"${createHash('sha256').update(bytes).digest('base64url')}"` }
}

const HEALTHY: Health = { status: 'ok' }

export async function healthRoute(exchange: Exchange): Promise<void> {
  sendJson(exchange, 200, HEALTHY)
}

export async function readyRoute({ readiness }: ServiceRoutes, exchange: Exchange): Promise<void> {
  const health = await readiness()
  sendJson(exchange, health.status === 'ok' ? 200 : 503, health)
}

/** Cached by the client alone and revalidated each time, which costs a 304. */
const CACHE_CONTROL = 'private, no-cache'

export async function openapiRoute({ contract: { bytes, etag } }: ServiceRoutes, exchange: Exchange): Promise<void> {
  const headers = ['ETag', etag, 'Cache-Control', CACHE_CONTROL]
  if (matchesNone(exchange.req.headers['if-none-match'], etag)) return sendEmpty(exchange, 304, headers)
  headers.push('Content-Type', 'application/json; charset=utf-8', 'X-Content-Type-Options', 'nosniff')
  sendBytes(exchange, 200, bytes, headers)
}

/** The limits of the caller, its usage, and what remains. */
export async function limitsRoute({ limits }: ServiceRoutes, exchange: Exchange, { client }: Caller): Promise<void> {
  sendJson(exchange, 200, await reportLimits(limits, client, exchange.signal))
}

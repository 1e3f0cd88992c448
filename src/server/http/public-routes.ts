import { createHash } from 'node:crypto'

import type { Health } from '../../protocol/schemas.ts'
import type { Caller } from '../access/caller.ts'
import { type LimitsReport, reportLimits } from '../limits/limits-report.ts'
import { matchesNone } from './conditions.ts'
import type { Exchange } from './exchange.ts'
import { sendBytes, sendEmpty, sendJson } from './responses.ts'

export interface PublicRoutes {
  /** Whether storage and records work, and the server is not stopping. */
  readonly readiness: () => Promise<Health>
  readonly contract: Contract
}

/** The OpenAPI document as it is sent: one copy for all readers, however slow. */
export interface Contract {
  readonly bytes: Uint8Array
  readonly etag: string
}

const HEALTHY: Health = { status: 'ok' }

export async function healthRoute(_deps: PublicRoutes, exchange: Exchange): Promise<void> {
  sendJson(exchange, 200, HEALTHY)
}

export async function readyRoute({ readiness }: PublicRoutes, exchange: Exchange): Promise<void> {
  const health = await readiness()
  sendJson(exchange, health.status === 'ok' ? 200 : 503, health)
}

/** Made once, when the server starts: it depends on nothing that changes while it runs. */
export function renderContract(document: unknown): Contract {
  const bytes = Buffer.from(JSON.stringify(document))
  return { bytes, etag: `"${createHash('sha256').update(bytes).digest('base64url')}"` }
}

/** Kept by the client alone, and asked for again each time: that costs a 304. */
const CACHE_CONTROL = 'private, no-cache'

export async function openapiRoute({ contract: { bytes, etag } }: PublicRoutes, exchange: Exchange): Promise<void> {
  const headers = ['ETag', etag, 'Cache-Control', CACHE_CONTROL]
  if (matchesNone(exchange.req.headers['if-none-match'], etag)) return sendEmpty(exchange, 304, headers)
  headers.push('Content-Type', 'application/json; charset=utf-8', 'X-Content-Type-Options', 'nosniff')
  sendBytes(exchange, 200, bytes, headers)
}

/** What applies to the caller, what it uses, what is left. */
export async function limitsRoute(deps: LimitsReport, exchange: Exchange, { client }: Caller): Promise<void> {
  sendJson(exchange, 200, await reportLimits(deps, client))
}

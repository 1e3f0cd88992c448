import type { Health } from '../../protocol/schemas.ts'
import { sendJson } from './answers.ts'
import type { Exchange } from './exchange.ts'

export interface PublicRoutes {
  /** Whether storage and records work, and the server is not stopping. */
  readonly readiness: () => Promise<Health>
  readonly openapi: () => unknown
}

export async function healthRoute(_deps: PublicRoutes, exchange: Exchange): Promise<void> {
  sendJson(exchange, 200, { status: 'ok' } satisfies Health)
}

export async function readyRoute({ readiness }: PublicRoutes, exchange: Exchange): Promise<void> {
  const health = await readiness()
  sendJson(exchange, health.status === 'ok' ? 200 : 503, health)
}

export async function openapiRoute({ openapi }: PublicRoutes, exchange: Exchange): Promise<void> {
  sendJson(exchange, 200, openapi())
}

/** Cross-origin access by bearer token, never by cookie, so that no page can use the credentials of a browser. */
import type { IncomingMessage } from 'node:http'

import type { HeaderList } from './exchange.ts'

const EXPOSED = [
  'ETag',
  'Content-Range',
  'Content-Length',
  'Accept-Ranges',
  'Retry-After',
  'Preference-Applied',
  'Sealift-Download',
  'Sealift-State',
  'Sealift-Transfer',
  'Sealift-Version',
  'Sealift-Request-Id',
].join(', ')

const ALLOWED = [
  'Authorization',
  'Content-Type',
  'Content-Digest',
  'Idempotency-Key',
  'If-Match',
  'If-None-Match',
  'If-Range',
  'Prefer',
  'Range',
  'Sealift-Download',
  'Sealift-Media-Count',
  'Sealift-Owner',
].join(', ')

const VARY = ['Vary', 'Origin']
const ANY_ORIGIN = [...VARY, 'Access-Control-Allow-Origin', '*', 'Access-Control-Expose-Headers', EXPOSED]

/** Headers of every response to this request; those for browsers are sent only with an `Origin`. */
export function corsHeaders({ headers: { origin } }: IncomingMessage, origins: readonly string[]): HeaderList {
  if (origin === undefined) return VARY
  if (origins.includes('*')) return ANY_ORIGIN
  if (!origins.includes(origin)) return VARY
  return [...VARY, 'Access-Control-Allow-Origin', origin, 'Access-Control-Expose-Headers', EXPOSED]
}

/** Headers of the response to a preflight (`OPTIONS`). */
export function preflightHeaders(methods: readonly string[]): HeaderList {
  const allowed = methods.join(', ')
  return [
    'Allow',
    `${allowed}, OPTIONS`,
    'Access-Control-Allow-Methods',
    allowed,
    'Access-Control-Allow-Headers',
    ALLOWED,
    'Access-Control-Max-Age',
    '7200',
    'Cache-Control',
    'no-store',
  ]
}

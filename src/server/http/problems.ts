/** Errors as RFC 9457 problem documents; only here does a code become a status. */
import { isWireErrorCode, SealiftError, WIRE_ERRORS, type WireErrorCode } from '../../protocol/errors.ts'
import { PROBLEM_JSON } from '../../protocol/headers.ts'
import type { Problem } from '../../protocol/schemas.ts'

/** Fields of an error context that clients receive. */
const PUBLIC_FIELDS = ['limit', 'value', 'remaining', 'missing', 'version', 'sizeBytes', 'issues'] as const

/** Codes after which a retry may succeed, with the default of `Retry-After`. */
const RETRY_AFTER_SECONDS: Readonly<Partial<Record<WireErrorCode, number>>> = {
  rate_limited: 1,
  too_many_uploads: 1,
  too_many_downloads: 1,
  too_many_pending: 60,
  unavailable: 5,
  shutting_down: 5,
  stalled: 1,
  storage_full: 60,
}

/** The error as clients see it: errors of other classes become `internal`. */
export function toWireError(error: unknown): SealiftError & { readonly code: WireErrorCode } {
  if (isWireError(error)) return error
  const hidden = new SealiftError('internal', 'The server failed; the request id names this failure in its log', {
    cause: error,
  })
  return hidden as SealiftError & { readonly code: WireErrorCode }
}

function isWireError(error: unknown): error is SealiftError & { readonly code: WireErrorCode } {
  return error instanceof SealiftError && isWireErrorCode(error.code)
}

export function describeProblem(error: unknown, requestId?: string): Problem {
  const { code, message, context } = toWireError(error)
  const fields = PUBLIC_FIELDS.flatMap(fact => (context[fact] === undefined ? [] : [[fact, context[fact]] as const]))
  return {
    type: `urn:sealift:problem:${code}`,
    title: WIRE_ERRORS[code].title,
    status: WIRE_ERRORS[code].status,
    code,
    detail: message,
    ...Object.fromEntries(fields),
    ...(requestId === undefined ? {} : { requestId }),
  }
}

/** Headers of a problem document, names and values in turn. */
export function problemHeaders(error: unknown): string[] {
  const { code, context } = toWireError(error)
  const headers = ['Content-Type', PROBLEM_JSON, 'Cache-Control', 'no-store', 'X-Content-Type-Options', 'nosniff']
  const retryAfter = context.retryAfterSeconds ?? RETRY_AFTER_SECONDS[code]
  if (retryAfter !== undefined) headers.push('Retry-After', String(Math.max(1, Math.ceil(retryAfter))))
  if (code === 'unauthorized') headers.push('WWW-Authenticate', 'Bearer realm="sealift"')
  if (typeof context['sizeBytes'] === 'number' && code === 'range_not_satisfiable') {
    headers.push('Content-Range', `bytes */${context['sizeBytes']}`)
  }
  if (code === 'method_not_allowed' && typeof context['allow'] === 'string') headers.push('Allow', context['allow'])
  return headers
}

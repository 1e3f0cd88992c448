/**
 * Every code that travels on the wire, with the HTTP status that carries it and a title for people.
 * The server's core throws `SealiftError` with one of these codes and knows no HTTP; one error handler maps it;
 * the client revives the same class from the problem document.
 */
export const WIRE_ERRORS = {
  invalid_request: { status: 400, title: 'The request is not well formed' },
  unauthorized: { status: 401, title: 'A valid token is needed' },
  forbidden: { status: 403, title: 'Not allowed' },
  too_many_devices: { status: 403, title: 'This account has reached its number of devices' },
  not_found: { status: 404, title: 'Not found' },
  method_not_allowed: { status: 405, title: 'This route does not take that method' },
  part_conflict: { status: 409, title: 'This part is already stored with other bytes' },
  parts_missing: { status: 409, title: 'Parts are missing' },
  not_direct: { status: 409, title: 'Bytes pass this server here; there is no direct address' },
  upload_complete: { status: 409, title: 'The upload is already complete' },
  upload_in_progress: { status: 409, title: 'The upload is not complete yet' },
  size_mismatch: { status: 409, title: 'The size does not agree with what was declared or stored' },
  idempotency_conflict: { status: 409, title: 'This Idempotency-Key was used with another request' },
  gone: { status: 410, title: 'Expired, deleted or given up' },
  downloads_exhausted: { status: 410, title: 'All allowed downloads have been used' },
  length_required: { status: 411, title: 'Content-Length is needed' },
  version_mismatch: { status: 412, title: 'The parcel has another version by now' },
  too_large: { status: 413, title: 'Larger than the limit' },
  quota_exceeded: { status: 413, title: 'The storage quota is used up' },
  unsupported_media_type: { status: 415, title: 'This content type or encoding is not taken here' },
  range_not_satisfiable: { status: 416, title: 'The range lies outside the media' },
  digest_mismatch: { status: 422, title: 'The bytes do not match their Content-Digest' },
  precondition_required: { status: 428, title: 'If-Match is needed' },
  rate_limited: { status: 429, title: 'Too many requests' },
  too_many_uploads: { status: 429, title: 'Too many uploads at once' },
  too_many_downloads: { status: 429, title: 'Too many downloads at once' },
  too_many_pending: { status: 429, title: 'Too many unfinished uploads' },
  headers_too_large: { status: 431, title: 'The headers are too large' },
  internal: { status: 500, title: 'The server failed' },
  damaged: { status: 500, title: 'The stored bytes are damaged or missing' },
  unavailable: { status: 503, title: 'The service cannot do this right now' },
  shutting_down: { status: 503, title: 'The server is stopping' },
  stalled: { status: 503, title: 'The transfer moved no byte for too long' },
  storage_full: { status: 507, title: 'The storage is full' },
} as const satisfies Record<string, { status: number; title: string }>

export type WireErrorCode = keyof typeof WIRE_ERRORS

/** Codes that only a client raises: they never travel. */
export const CLIENT_ERRORS = {
  network: 'The server could not be reached, or the connection broke',
  aborted: 'Stopped by the caller',
  untrusted_server: 'The certificate of the server is not trusted',
  redirected: 'The server sends requests elsewhere',
  damaged_media: 'The bytes were altered, cut or are not what the manifest describes',
  unsupported_version: 'Made by a newer version of Sealift',
  invalid_link: 'Not a Sealift link',
  invalid_manifest: 'The manifest cannot be read',
  file_changed: 'The file changed while it was being sent',
  sender_gone: 'The sender stopped before everything was sent',
  local_file: 'A local file could not be read or written',
  invalid_response: 'This client does not understand the response of the server',
} as const

export type ClientErrorCode = keyof typeof CLIENT_ERRORS
/** Every code a `SealiftError` may carry: those that travel, and those that only a client raises. */
export type SealiftErrorCode = WireErrorCode | ClientErrorCode

/**
 * Facts that go with an error. For limits: `limit` (its name), `value` (its size), `remaining`, `retryAfterSeconds`.
 */
export interface ErrorContext {
  readonly limit?: string
  readonly value?: number
  readonly remaining?: number
  readonly retryAfterSeconds?: number
  readonly [fact: string]: unknown
}

/** The one error class of the product. `message` says what happened and what to do; `code` is stable. */
export class SealiftError extends Error {
  override readonly name = 'SealiftError'
  readonly code: SealiftErrorCode
  readonly context: ErrorContext

  constructor(code: SealiftErrorCode, message: string, options: { context?: ErrorContext; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.context = options.context ?? {}
  }
}

/** True when `error` is a `SealiftError` with one of `codes` (with any code when none is named). */
export function isSealiftError(error: unknown, ...codes: SealiftErrorCode[]): error is SealiftError {
  return error instanceof SealiftError && (codes.length === 0 || codes.includes(error.code))
}

export function isWireErrorCode(code: string): code is WireErrorCode {
  return Object.hasOwn(WIRE_ERRORS, code)
}

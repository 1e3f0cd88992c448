import { isSealiftError, SealiftError } from '../../../protocol/errors.ts'

/** A 200 that is not valid S3; the outcome of the call is unknown. */
export class BrokenResponse extends Error {
  override readonly name = 'BrokenResponse'
}

/** One try of a call took too long; its outcome is unknown. */
export class TryTimeout extends Error {
  override readonly name = 'TryTimeout'
}

/** What an S3 service or the network reported. */
export interface S3Failure {
  /** HTTP status; `null` without a response. */
  readonly status: number | null
  /** S3's code such as `SlowDown`, or the network's such as `ECONNRESET`; `null` when unknown. */
  readonly code: string | null
}

export function s3Failure(error: unknown): S3Failure {
  const status = statusOf(error)
  if (!(error instanceof Error)) return { status, code: null }
  if (status === null) return { status, code: networkCode(error) }
  return { status, code: error.name === '' || error.name === 'Error' ? null : error.name }
}

/** Failures that have a name and no code; the last one is undici's. */
const NAMED = new Set(['TryTimeout', 'BrokenResponse', 'HTTPParserError'])

const FULL_CODES = new Set(['QuotaExceeded', 'StorageFull', 'XMinioStorageFull', 'XMinioAdminBucketQuotaExceeded'])
const FULL_STATUS = 507

/** Codes worth a retry, whatever the status. The SDK corrects a skewed clock for the next try. */
const TRANSIENT_CODES = new Set(['SlowDown', 'RequestTimeout', 'RequestTimeTooSkewed', 'InternalError', 'Throttling'])
const TRANSIENT_STATUSES = new Set([408, 425, 429, 500, 502, 503, 504])

export function isWorthRetry(error: unknown): boolean {
  if (isSealiftError(error)) return false
  if (error instanceof BrokenResponse || error instanceof TryTimeout) return true
  const { status, code } = s3Failure(error)
  if (code !== null && FULL_CODES.has(code)) return false
  // Node's own errors (`ERR_…`) are permanent; those of the network are not.
  if (status === null) return code !== null && !code.startsWith('ERR_')
  return isGood(status) || TRANSIENT_STATUSES.has(status) || (code !== null && TRANSIENT_CODES.has(code))
}

/** An error with such a status: the SDK could not parse the response. */
const isGood = (status: number): boolean => status >= 200 && status < 300

export function isAbsent(error: unknown): boolean {
  const { status, code } = s3Failure(error)
  return status === 404 && code !== 'NoSuchBucket'
}

/** A range that begins past the end. */
export function isPastEnd(error: unknown): boolean {
  return s3Failure(error).status === 416
}

/** @returns a `SealiftError` without the service's text: some services repeat the request's signature in it */
export function translateS3Error(error: unknown): SealiftError {
  if (isSealiftError(error)) return error
  const { status, code } = s3Failure(error)
  const cause = causeOf(error)
  if (status === FULL_STATUS || (code !== null && FULL_CODES.has(code))) {
    return new SealiftError('storage_full', "The S3 storage is full, or the bucket's quota is used up", { cause })
  }
  const facts = [code, status === null ? null : `HTTP ${status}`].filter(each => each !== null)
  const why = facts.length > 0 ? facts.join(', ') : 'no valid response'
  return new SealiftError('unavailable', `The S3 storage failed (${why})`, { cause })
}

/** The cause of a response names its status and code only; that of a network failure its message. */
function causeOf(error: unknown): Error {
  const { status, code } = s3Failure(error)
  const response = `S3 responded ${code ?? 'without a code'}, HTTP ${status}`
  const message = status !== null ? response : error instanceof Error ? error.message : 'unknown'
  return Object.assign(new Error(message), { code, status })
}

function statusOf(error: unknown): number | null {
  const metadata = property(error, '$metadata')
  const status = property(metadata, 'httpStatusCode')
  return typeof status === 'number' ? status : null
}

/** Node's and undici's errors carry a code, at times one level down. */
function networkCode(error: Error): string | null {
  const code = property(error, 'code') ?? property(error.cause, 'code')
  if (typeof code === 'string') return code
  return NAMED.has(error.name) ? error.name : null
}

function property(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined
}

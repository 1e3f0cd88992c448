import { isSealiftError, SealiftError } from '../../../protocol/errors.ts'

/** The service answered 200 with something that is no answer; whether the call did its work is not known. */
export class BrokenResponse extends Error {
  override readonly name = 'BrokenResponse'
}

/** One try of a call took too long; whether it did its work is not known. */
export class TryTimeout extends Error {
  override readonly name = 'TryTimeout'
}

/** What an S3 service, or the way to it, said. */
export interface S3Failure {
  /** HTTP status; `null` when no answer came. */
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

/** Failures without a code, told by their name: the last one is undici's. */
const NAMED = new Set(['TryTimeout', 'BrokenResponse', 'HTTPParserError'])

const FULL_CODES = new Set(['QuotaExceeded', 'StorageFull', 'XMinioStorageFull', 'XMinioAdminBucketQuotaExceeded'])
const FULL_STATUS = 507

/** Codes that a later try may not meet, whatever the status. A skewed clock is corrected by the SDK for the next try. */
const PASSING_CODES = new Set(['SlowDown', 'RequestTimeout', 'RequestTimeTooSkewed', 'InternalError', 'Throttling'])
const PASSING_STATUSES = new Set([408, 425, 429, 500, 502, 503, 504])

export function isWorthRetry(error: unknown): boolean {
  if (isSealiftError(error)) return false
  if (error instanceof BrokenResponse || error instanceof TryTimeout) return true
  const { status, code } = s3Failure(error)
  if (code !== null && FULL_CODES.has(code)) return false
  // Node's own mistakes (`ERR_…`) are the same every time; what the network does is not.
  if (status === null) return code !== null && !code.startsWith('ERR_')
  return isGood(status) || PASSING_STATUSES.has(status) || (code !== null && PASSING_CODES.has(code))
}

/** A success that cannot be understood is none. */
const isGood = (status: number): boolean => status >= 200 && status < 300

export function isAbsent(error: unknown): boolean {
  const { status, code } = s3Failure(error)
  return status === 404 && code !== 'NoSuchBucket'
}

/** A range that begins past the end. */
export function isPastEnd(error: unknown): boolean {
  return s3Failure(error).status === 416
}

/** The service's error as ours. Its own text is left out: some services repeat the request's signature in it. */
export function translateS3Error(error: unknown): SealiftError {
  if (isSealiftError(error)) return error
  const { status, code } = s3Failure(error)
  const cause = causeOf(error)
  if (status === FULL_STATUS || (code !== null && FULL_CODES.has(code))) {
    return new SealiftError('storage_full', "The S3 storage is full, or the bucket's quota is used up", { cause })
  }
  const facts = [code, status === null ? null : `HTTP ${status}`].filter(each => each !== null)
  const why = facts.length > 0 ? facts.join(', ') : 'no answer that could be understood'
  return new SealiftError('unavailable', `The S3 storage failed (${why})`, { cause })
}

/** A service's answer is told by status and code alone; a failure on the way to it by its message. */
function causeOf(error: unknown): Error {
  const { status, code } = s3Failure(error)
  const answered = `S3 answered ${code ?? 'without a code'}, HTTP ${status}`
  const message = status !== null ? answered : error instanceof Error ? error.message : 'unknown'
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

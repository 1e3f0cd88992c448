/** Counts and logs requests. Clients appear under a pseudonym, requests under their id. */
import { createHmac, randomBytes } from 'node:crypto'

import { BoundedMap } from '../../common/bounded-map.ts'
import { isSealiftError, isWireErrorCode, type SealiftErrorCode, WIRE_ERRORS } from '../../protocol/errors.ts'
import type { RouteName } from '../../protocol/routes.ts'
import { describeError, isBug, type Logger } from './logger.ts'
import type { Metrics } from './metrics.ts'

/** A request and how it ended. */
export interface EndedRequest {
  readonly requestId: string
  readonly route: RouteName | null
  readonly method: string
  /** `null`: the response is incomplete, since either side cut the connection. */
  readonly status: number | null
  readonly durationMs: number
  readonly receivedBytes: number
  readonly sentBytes: number
  readonly clientId: string | null
  /** Whether it has a header that proxies add; called for a sample of requests. */
  readonly forwarded: () => boolean
  /** What refused or failed the request; `null`: it succeeded. */
  readonly error: unknown
}

type RequestMetrics = Pick<Metrics, 'requestEnded' | 'bytesMoved' | 'refused' | 'failed'>

export interface RequestEventsOptions {
  readonly logger: Logger
  readonly metrics: RequestMetrics
  /** Monotonic ms. */
  readonly now: () => number
}

/** Routes whose body is the bytes of media, by direction. */
const TRANSFERS: Readonly<Partial<Record<RouteName, 'upload' | 'download'>>> = {
  putPart: 'upload',
  storeMedia: 'upload',
  readMedia: 'download',
}

interface RouteLog {
  readonly level: 'debug' | 'info'
  readonly message: string
}

/** The log line of a successful request; frequent ones are logged at `debug`. */
const ROUTE_LOGS: Readonly<Record<RouteName, RouteLog>> = {
  beginUpload: { level: 'debug', message: 'upload begun' },
  putPart: { level: 'debug', message: 'part stored' },
  directPart: { level: 'debug', message: 'part upload presigned' },
  confirmPart: { level: 'debug', message: 'part confirmed' },
  uploadStatus: { level: 'debug', message: 'upload status read' },
  completeUpload: { level: 'info', message: 'upload complete' },
  abortUpload: { level: 'info', message: 'upload aborted' },
  storeMedia: { level: 'info', message: 'media stored' },
  readMedia: { level: 'debug', message: 'media served' },
  headMedia: { level: 'debug', message: 'media headers sent' },
  directRead: { level: 'debug', message: 'media reads presigned' },
  endDirect: { level: 'debug', message: 'direct transfer ended' },
  mediaInfo: { level: 'debug', message: 'media described' },
  forwardMedia: { level: 'info', message: 'media forwarded' },
  endLease: { level: 'info', message: 'lease ended' },
  publishParcel: { level: 'info', message: 'parcel published' },
  replaceManifest: { level: 'info', message: 'manifest replaced' },
  readParcel: { level: 'debug', message: 'parcel read' },
  endParcel: { level: 'info', message: 'parcel ended' },
  limits: { level: 'debug', message: 'limits reported' },
  health: { level: 'debug', message: 'health reported' },
  ready: { level: 'debug', message: 'readiness reported' },
  openapi: { level: 'debug', message: 'contract sent' },
}

/** Counts and logs each ended request. */
export function createRequestEvents({ logger, metrics, now }: RequestEventsOptions): (request: EndedRequest) => void {
  const pseudonym = createPseudonyms()
  const isOneAddress = createOneAddressAlarm()
  return request => {
    countRequest(metrics, request)
    const line = logLineOf(request)
    if (logger.isLevelEnabled(line.level)) logger[line.level](requestFields(request, pseudonym), line.message)
    const { clientId } = request
    if (clientId?.startsWith('address:') && isOneAddress(clientId, request.forwarded, now())) {
      logger.warn('nearly all requests come from one address: list the proxy in listen.trustedProxies')
    }
  }
}

function countRequest(metrics: RequestMetrics, request: EndedRequest): void {
  const { route, status, durationMs, error } = request
  metrics.requestEnded({ route, status, seconds: durationMs / 1000 })
  const direction = route === null ? undefined : TRANSFERS[route]
  if (direction === 'upload') metrics.bytesMoved('upload', request.receivedBytes)
  if (direction === 'download') metrics.bytesMoved('download', request.sentBytes)
  if (error === null || error === undefined) return
  metrics.failed(codeOf(error))
  if (isSealiftError(error) && error.context.limit !== undefined) metrics.refused(error.context.limit)
}

function logLineOf({ route, status, error }: EndedRequest): {
  level: 'debug' | 'info' | 'warn' | 'error'
  message: string
} {
  if (error !== null && error !== undefined) {
    if (isBug(error)) return { level: 'error', message: 'request failed' }
    if (isStorageTrouble(error)) return { level: 'warn', message: 'request failed' }
    return { level: 'info', message: isLimit(error) ? 'refused by a limit' : 'refused' }
  }
  if (status === null) return { level: 'debug', message: 'connection ended early' }
  return route === null ? { level: 'debug', message: 'responded' } : ROUTE_LOGS[route]
}

function requestFields(
  request: EndedRequest,
  pseudonym: (clientId: string) => string,
): Readonly<Record<string, unknown>> {
  const { requestId, route, method, status, durationMs, receivedBytes, sentBytes, clientId, error } = request
  return {
    requestId,
    route,
    method: /^[A-Z]{1,10}$/.test(method) ? method : 'other',
    status,
    durationMs: Math.round(durationMs),
    ...(receivedBytes > 0 ? { receivedBytes } : {}),
    ...(sentBytes > 0 ? { sentBytes } : {}),
    ...(clientId === null ? {} : { client: pseudonym(clientId) }),
    ...(error === null || error === undefined ? {} : errorFields(error)),
  }
}

function errorFields(error: unknown): Readonly<Record<string, unknown>> {
  if (isBug(error) || isStorageTrouble(error)) return { err: describeError(error, { stack: isBug(error) }) }
  const limit = isSealiftError(error) ? error.context.limit : undefined
  return { code: codeOf(error), ...(limit === undefined ? {} : { limit }) }
}

function isStorageTrouble(error: unknown): boolean {
  if (isSealiftError(error, 'unavailable')) return error.context.limit === undefined
  if (isSealiftError(error, 'too_large')) return error.context.limit === 'fileBytes'
  return isSealiftError(error, 'damaged', 'storage_full')
}

function isLimit(error: unknown): boolean {
  return isSealiftError(error) && (error.context.limit !== undefined || statusOf(error.code) === 429)
}

function statusOf(code: SealiftErrorCode): number | null {
  return isWireErrorCode(code) ? WIRE_ERRORS[code].status : null
}

function codeOf(error: unknown): SealiftErrorCode {
  return isSealiftError(error) ? error.code : 'internal'
}

const MAX_REMEMBERED = 10_000

/**
 * Pseudonyms of clients for the log: stable within one run of the server, different in the next.
 */
function createPseudonyms(salt: Uint8Array = randomBytes(32)): (clientId: string) => string {
  const known = new BoundedMap<string, string>(MAX_REMEMBERED)
  const derive = (clientId: string) => createHmac('sha256', salt).update(clientId).digest('hex').slice(0, 12)
  return clientId => known.getOrSet(clientId, derive)
}

const WINDOW_MS = 10 * 60_000
const MIN_REQUESTS = 1000
const SHARE = 0.9
const MAX_ADDRESSES = 5000
/** One request of this many is counted, since this runs for every request. */
const SAMPLE_EVERY = 8

/**
 * Returns a function to call for each request of an anonymous client. It returns true at the end of a window in which
 * one address sent nearly all of at least about a thousand requests, most of them with headers of a proxy. `nowMs` is
 * monotonic.
 */
export function createOneAddressAlarm(): (address: string, forwarded: () => boolean, nowMs: number) => boolean {
  let counts = new Map<string, number>()
  let requests = 0
  let sampled = 0
  let forwardedSeen = 0
  let since = -Infinity
  return (address, forwarded, nowMs) => {
    if (since === -Infinity) since = nowMs
    if (requests++ % SAMPLE_EVERY === 0) {
      sampled += 1
      if (forwarded()) forwardedSeen += 1
      if (counts.has(address) || counts.size < MAX_ADDRESSES) counts.set(address, (counts.get(address) ?? 0) + 1)
    }
    if (nowMs - since < WINDOW_MS) return false
    // Without forwarding headers there is no proxy, just one busy client.
    const alarm =
      requests >= MIN_REQUESTS && forwardedSeen > sampled / 2 && Math.max(...counts.values()) >= sampled * SHARE
    counts = new Map()
    requests = 0
    sampled = 0
    forwardedSeen = 0
    since = nowMs
    return alarm
  }
}

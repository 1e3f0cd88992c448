/**
 * What happens, one helper for each kind of event: it is logged and counted here, and nowhere else. No helper takes an
 * id that grants access, a name, a token, a query or a key; clients appear under a pseudonym, requests under their id.
 */
import {
  isSealiftError,
  isWireErrorCode,
  SealiftError,
  type SealiftErrorCode,
  WIRE_ERRORS,
} from '../../protocol/errors.ts'
import type { RouteName } from '../../protocol/routes.ts'
import type { ConfigProblem } from '../config/config-error.ts'
import type { UpkeepEvents } from '../upkeep/upkeep-events.ts'
import { describeError, isBug, type Logger } from './logger.ts'
import type { Metrics } from './metrics.ts'
import { createOneAddressAlarm } from './one-address-alarm.ts'
import { createPseudonyms } from './pseudonym.ts'

/** A request and how it ended. */
export interface EndedRequest {
  readonly requestId: string
  readonly route: RouteName | null
  readonly method: string
  /** `null` when the answer was never finished: cut by either side. */
  readonly status: number | null
  readonly durationMs: number
  readonly receivedBytes: number
  readonly sentBytes: number
  readonly clientId: string | null
  /** Whether it carried a header that proxies add; looked up only for a sample of requests. */
  readonly forwarded: () => boolean
  /** What refused or failed it; `null` when nothing did. */
  readonly error: unknown
}

export interface Events {
  serverStarted(facts: { url: string; adminUrl: string | null; version: string; openMode: string }): void
  /** What the storage service cannot do, or not as well as it could; a problem is one that only some clients meet. */
  storageNotes(notes: readonly { check: string; level: string; message: string }[]): void
  serverStopping(facts: { transfers: number }): void
  serverStopped(facts: { durationMs: number }): void
  /** Tells what a request did: an upload begun or complete, a media served, a limit that refused, a failure. */
  requestEnded(request: EndedRequest): void
  /** Keys, never values: those in force from now on, and those that differ but need a restart. */
  configReloaded(keys: { readonly changed: readonly string[]; readonly needRestart: readonly string[] }): void
  configRefused(problems: readonly ConfigProblem[]): void
  /** What the sweeper tells. */
  readonly upkeep: UpkeepEvents
  /** A part of the server that does not work; told once until it recovers. */
  failing(part: string, error: unknown): void
  recovered(part: string): void
  /** Something that must not happen and that no request has to answer for. */
  bug(where: string, error: unknown): void
}

export interface EventsOptions {
  readonly logger: Logger
  readonly metrics: Pick<Metrics, 'requestEnded' | 'bytesMoved' | 'refused' | 'failed' | 'reloaded'> & UpkeepMetrics
  /** Monotonic ms. */
  readonly now?: () => number
}

export function createEvents(options: EventsOptions): Events {
  const { logger, metrics } = options
  return {
    ...lifeEvents(logger),
    ...configEvents(options),
    upkeep: createUpkeepEvents(options),
    ...healthEvents(logger),
    requestEnded: requestEvents({ logger, metrics, now: options.now ?? (() => performance.now()) }),
    bug: (where, error) => logger.error({ where, err: describeError(error, { stack: true }) }, 'unexpected failure'),
  }
}

type LifeEvents = Pick<Events, 'serverStarted' | 'storageNotes' | 'serverStopping' | 'serverStopped'>

function lifeEvents(logger: Logger): LifeEvents {
  return {
    serverStarted: ({ url, adminUrl, version, openMode }) =>
      logger.info({ listen: url, admin: adminUrl, version, openMode }, 'server started'),
    storageNotes(notes) {
      for (const { check, level, message } of notes) {
        logger[level === 'problem' ? 'warn' : 'info']({ check, found: message }, 'about the storage service')
      }
    },
    serverStopping: facts => logger.info(facts, 'server stopping'),
    serverStopped: ({ durationMs }) => logger.info({ durationMs: Math.round(durationMs) }, 'server stopped'),
  }
}

function configEvents({ logger, metrics }: EventsOptions): Pick<Events, 'configReloaded' | 'configRefused'> {
  return {
    configReloaded({ changed, needRestart }) {
      metrics.reloaded('applied')
      logger.info({ changed, ...(needRestart.length > 0 ? { needRestart } : {}) }, 'configuration reloaded')
    },
    configRefused(problems) {
      metrics.reloaded('refused')
      // A problem names keys and places, never values.
      logger.error({ problems: problems.map(problem => ({ ...problem })) }, 'configuration refused; the old one stays')
    },
  }
}

function healthEvents(logger: Logger): Pick<Events, 'failing' | 'recovered'> {
  const failing = new Set<string>()
  return {
    failing(part, error) {
      if (failing.has(part)) return
      failing.add(part)
      logger.error({ part, err: describeError(error, { stack: isBug(error) }) }, 'not working')
    },
    recovered(part) {
      if (failing.delete(part)) logger.info({ part }, 'works again')
    },
  }
}

/** Routes whose body is media, and the way it moves. */
const TRANSFERS: Readonly<Partial<Record<RouteName, 'upload' | 'download'>>> = {
  putPart: 'upload',
  storeMedia: 'upload',
  readMedia: 'download',
}

interface Tale {
  readonly level: 'debug' | 'info'
  readonly message: string
}

/** What a request has done when it succeeds. Those that come by the thousand are told at `debug`. */
const TALES: Readonly<Record<RouteName, Tale>> = {
  beginUpload: { level: 'debug', message: 'upload begun' },
  putPart: { level: 'debug', message: 'part stored' },
  directPart: { level: 'debug', message: 'address of a part given' },
  confirmPart: { level: 'debug', message: 'part confirmed' },
  uploadStatus: { level: 'debug', message: 'upload looked at' },
  completeUpload: { level: 'info', message: 'upload complete' },
  abortUpload: { level: 'info', message: 'upload given up' },
  storeMedia: { level: 'info', message: 'media stored' },
  readMedia: { level: 'debug', message: 'media served' },
  headMedia: { level: 'debug', message: 'media looked at' },
  directRead: { level: 'debug', message: 'addresses of a media given' },
  endDirect: { level: 'debug', message: 'direct transfer ended' },
  mediaInfo: { level: 'debug', message: 'media looked at' },
  forwardMedia: { level: 'info', message: 'media forwarded' },
  endLease: { level: 'info', message: 'lease ended' },
  publishParcel: { level: 'info', message: 'parcel published' },
  replaceManifest: { level: 'info', message: 'parcel grown' },
  readParcel: { level: 'debug', message: 'parcel read' },
  endParcel: { level: 'info', message: 'parcel ended' },
  limits: { level: 'debug', message: 'limits told' },
  health: { level: 'debug', message: 'health told' },
  ready: { level: 'debug', message: 'readiness told' },
  openapi: { level: 'debug', message: 'contract told' },
}

interface RequestEvents extends EventsOptions {
  readonly now: () => number
}

function requestEvents({ logger, metrics, now }: RequestEvents): Events['requestEnded'] {
  const pseudonym = createPseudonyms()
  const isOneAddress = createOneAddressAlarm()
  return request => {
    countRequest(metrics, request)
    const tale = taleOf(request)
    if (logger.isLevelEnabled(tale.level)) logger[tale.level](toldRequest(request, pseudonym), tale.message)
    const { clientId } = request
    if (clientId?.startsWith('address:') && isOneAddress(clientId, request.forwarded, now())) {
      logger.warn('nearly all requests come from one address: list the proxy in listen.trustedProxies')
    }
  }
}

function countRequest(metrics: EventsOptions['metrics'], request: EndedRequest): void {
  const { route, status, durationMs, error } = request
  metrics.requestEnded({ route, status, seconds: durationMs / 1000 })
  const direction = route === null ? undefined : TRANSFERS[route]
  if (direction === 'upload') metrics.bytesMoved('upload', request.receivedBytes)
  if (direction === 'download') metrics.bytesMoved('download', request.sentBytes)
  if (error === null || error === undefined) return
  metrics.failed(codeOf(error))
  if (isSealiftError(error) && error.context.limit !== undefined) metrics.refused(error.context.limit)
}

function taleOf({ route, status, error }: EndedRequest): {
  level: 'debug' | 'info' | 'warn' | 'error'
  message: string
} {
  if (error !== null && error !== undefined) {
    if (isBug(error)) return { level: 'error', message: 'request failed' }
    if (isStorageTrouble(error)) return { level: 'warn', message: 'request failed' }
    return { level: 'info', message: isLimit(error) ? 'refused by a limit' : 'refused' }
  }
  if (status === null) return { level: 'debug', message: 'connection ended early' }
  return route === null ? { level: 'debug', message: 'answered' } : TALES[route]
}

function toldRequest(
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
    ...(error === null || error === undefined ? {} : toldFailure(error)),
  }
}

function toldFailure(error: unknown): Readonly<Record<string, unknown>> {
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

export type UpkeepMetrics = Pick<Metrics, 'swept' | 'sweepEnded' | 'sweepFailed' | 'sweepFound'>

export function createUpkeepEvents({ logger, metrics }: { logger: Logger; metrics: UpkeepMetrics }): UpkeepEvents {
  return {
    swept(report, durationMs) {
      metrics.sweepEnded(durationMs / 1000)
      const done = Object.entries(report).filter(([, count]) => count > 0)
      for (const [task, count] of done) metrics.swept(task, count)
      const level = done.length > 0 ? 'info' : 'debug'
      logger[level]({ ...Object.fromEntries(done), durationMs: Math.round(durationMs) }, 'swept')
    },
    failed(task, error, blobId) {
      metrics.sweepFailed(task)
      const err = describeError(error, { stack: isBug(error) })
      logger.error({ task, ...(blobId === null ? {} : { blobId }), err }, 'sweep failed; it is tried again')
    },
    bytesMissing({ blobId, expectedBytes, storedBytes }) {
      metrics.sweepFound('bytes_missing')
      const err = describeError(new SealiftError('damaged', 'Stored bytes are missing'), { stack: false })
      logger.error({ blobId, expectedBytes, storedBytes, err }, 'bytes are missing: run `sealift fsck`')
    },
    orphanDeleted: ({ blobId, sizeBytes }) => logger.info({ blobId, sizeBytes }, 'orphan deleted'),
    orphansSuspicious(counts) {
      metrics.sweepFound('orphans_suspicious')
      logger.error(counts, 'many stored media have no record: none was deleted, the records may be the wrong ones')
    },
  }
}

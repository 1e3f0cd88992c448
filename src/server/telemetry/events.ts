/**
 * Logs and counts what happens, by one helper for each kind of event. No helper takes an id that grants access, a
 * file name, a token, a query or a key.
 */
import { SealiftError } from '../../protocol/errors.ts'
import type { ConfigProblem } from '../config/config-error.ts'
import type { UpkeepEvents } from '../upkeep/upkeep-events.ts'
import { describeError, isBug, type Logger } from './logger.ts'
import type { Metrics } from './metrics.ts'
import { createRequestEvents, type EndedRequest } from './request-events.ts'

export interface Events {
  serverStarted(facts: { url: string; adminUrl: string | null; version: string; openMode: string }): void
  /** What the storage service cannot do, or could do better. */
  storageNotes(notes: readonly { check: string; level: string; message: string }[]): void
  serverStopping(facts: { transfers: number }): void
  serverStopped(facts: { durationMs: number }): void
  requestEnded(request: EndedRequest): void
  /** Keys, never values: the applied ones, and those that need a restart. */
  configReloaded(keys: { readonly changed: readonly string[]; readonly needRestart: readonly string[] }): void
  configRefused(problems: readonly ConfigProblem[]): void
  readonly upkeep: UpkeepEvents
  /** A part of the server does not work; logged once until it recovers. */
  failing(part: string, error: unknown): void
  recovered(part: string): void
  /** An unexpected failure outside of a request. */
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
    requestEnded: createRequestEvents({ logger, metrics, now: options.now ?? (() => performance.now()) }),
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
      // A problem names keys and files, never values.
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

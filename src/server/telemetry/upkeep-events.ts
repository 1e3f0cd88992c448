/** What the sweeper tells, logged and counted. The ids of blobs are in it: they grant nothing, and fsck asks for them. */
import { SealiftError } from '../../protocol/errors.ts'
import type { UpkeepEvents } from '../upkeep/upkeep-events.ts'
import type { Logger } from './logger.ts'
import type { Metrics } from './metrics.ts'
import { describeError, isBug } from './scrub.ts'

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

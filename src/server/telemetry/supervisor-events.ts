/** What the supervisor of several serving processes tells. */
import type { LiveConfig } from '../config/live-config.ts'
import type { SupervisorEvents } from '../workers/supervisor.ts'
import { createLogger, type LoggerOptions } from './logger.ts'
import { describeError } from './scrub.ts'

export function createSupervisorEvents(live: LiveConfig, logTo: LoggerOptions['destination']): SupervisorEvents {
  const logger = createLogger({ live, ...(logTo ? { destination: logTo } : {}) })
  return {
    workerEnded: ({ pid, code, signal }) =>
      logger.error({ pid, exitCode: code, signal }, 'a serving process ended; another is started'),
    failed: (where, error) => logger.error({ where, err: describeError(error, { stack: true }) }, 'unexpected failure'),
  }
}

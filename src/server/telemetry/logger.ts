/** The one logger. Everything but events.ts logs through the helpers there, so what is told is decided in one place. */
import { pino, type DestinationStream, type Logger } from 'pino'

import { escapeUnseen } from '../../protocol/visible-text.ts'
import type { LiveConfig } from '../config/live-config.ts'
import { prettyLines } from './pretty-lines.ts'

export type { Logger }

export interface LoggerOptions {
  readonly live: LiveConfig
  /** Where lines go; standard output when absent. Not closed by the logger. */
  readonly destination?: DestinationStream
}

/** Names under which a secret could come by mistake. */
const NEVER = [
  'authorization',
  'headers',
  'cookie',
  'token',
  'secret',
  'key',
  'url',
  'query',
  'path',
  'name',
  'fileName',
]

/** A logger by the configuration in force; a reload changes its level. */
export function createLogger({ live, destination }: LoggerOptions): Logger {
  const { level, format } = live.current.log
  const lines = visibleLines(destination ?? pino.destination({ fd: 1, sync: true }))
  const logger = pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: label => ({ level: label }) },
      // Errors come here already told (scrub.ts); pino's own serializer would take more from them.
      serializers: { err: told => told as unknown },
      redact: { paths: NEVER.flatMap(name => [name, `*.${name}`]), censor: '(hidden)' },
    },
    format === 'pretty' ? prettyLines(lines) : lines,
  )
  live.subscribe(next => {
    logger.level = next.log.level
  })
  return logger
}

/** Some of what is logged comes from outside, such as a store's words: nothing in it speaks to a terminal. */
function visibleLines(destination: DestinationStream): DestinationStream {
  return { write: line => destination.write(escapeUnseen(line)) }
}

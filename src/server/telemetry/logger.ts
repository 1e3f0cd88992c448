/** The one logger. Other modules log by the helpers of events.ts, which decide what is logged. */
import { type DestinationStream, type Logger, pino } from 'pino'

import { isSealiftError } from '../../protocol/errors.ts'
import { escapeUnseen } from '../../protocol/visible-text.ts'
import type { LiveConfig } from '../config/live-config.ts'

export type { Logger }

export interface LoggerOptions {
  readonly live: LiveConfig
  /** Where lines go; standard output when absent. Not closed by the logger. */
  readonly destination?: DestinationStream
}

/** Field names under which a secret could be logged by mistake. */
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

/** Follows reloads of `log.level`. */
export function createLogger({ live, destination }: LoggerOptions): Logger {
  const { level, format } = live.current.log
  const lines = visibleLines(destination ?? pino.destination({ fd: 1, sync: true }))
  const logger = pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: label => ({ level: label }) },
      // Errors are described already (`describeError`); pino's own serializer would include more of them.
      serializers: { err: described => described as unknown },
      redact: { paths: NEVER.flatMap(name => [name, `*.${name}`]), censor: '(hidden)' },
    },
    format === 'pretty' ? prettyLines(lines) : lines,
  )
  live.subscribe(next => {
    logger.level = next.log.level
  })
  return logger
}

/**
 * Escapes control characters: messages of a store, for instance, come from outside and must not control a terminal.
 */
function visibleLines(destination: DestinationStream): DestinationStream {
  return { write: line => destination.write(escapeUnseen(line)) }
}

/** JSON lines in a readable form: `12:30:05 info  upload complete  bytes=5 client=ab12`. */
export function prettyLines(destination: DestinationStream): DestinationStream {
  return { write: line => destination.write(prettyLine(line)) }
}

export function prettyLine(line: string): string {
  const { time, level, msg, err, ...facts } = JSON.parse(line) as Record<string, unknown>
  const clock = String(time).slice(11, 19)
  const pairs = Object.entries(facts).map(([name, value]) => `${name}=${plain(value)}`)
  const trouble = err === undefined ? '' : `\n${indent(JSON.stringify(err, null, 2).replaceAll(String.raw`\n`, '\n'))}`
  return `${[clock, String(level).padEnd(5), String(msg), ...pairs].join(' ')}${trouble}\n`
}

/** A line break in a value must not look like a line of its own. */
function plain(value: unknown): string {
  return typeof value === 'string' && /^[\w./:@+-]+$/.test(value) ? value : JSON.stringify(value)
}

function indent(text: string): string {
  return text.replaceAll(/^/gm, '    ')
}

/** Removes credentials, ids and queries from a text: a last safeguard, since nothing should log them. */
const PATTERNS: readonly (readonly [RegExp, string])[] = [
  // Ids of media, parcels and uploads: each grants access.
  [/(?<![a-z2-7])[a-z2-7]{26}(?![a-z2-7])/g, '(id)'],
  [/\b(Bearer|Basic)\s+\S+/gi, '$1 (hidden)'],
  // Queries and fragments of URLs: a fragment holds the key of a manifest.
  [/((?:https?:\/\/|\/)[^\s?#"']*[?#])[^\s"')]+/gi, '$1(hidden)'],
  [/([?&][\w-]+=)[^\s"'&)]+/g, '$1(hidden)'],
  // Signed tokens, and long random texts such as keys and secrets.
  [/\beyJ[\w-]*\.[\w-]+\.[\w-]*/g, '(token)'],
  [/(?=[\w-]*\d)[A-Za-z0-9_-]{32,}=*/g, '(hidden)'],
]

export function redact(text: string): string {
  return PATTERNS.reduce((rest, [pattern, instead]) => rest.replaceAll(pattern, instead), text)
}

const MAX_CAUSES = 4

export interface LoggedError {
  /** Its class. */
  readonly type: string
  readonly code: string | null
  readonly message: string
  readonly stack?: string
  readonly cause?: LoggedError
}

/** An error for the log, with its causes. */
export function describeError(error: unknown, options: { readonly stack: boolean }, depth = 0): LoggedError {
  if (!(error instanceof Error)) return { type: typeof error, code: null, message: 'not an Error' }
  const { cause } = error
  return {
    type: error.name,
    code: 'code' in error && typeof error.code === 'string' ? redact(error.code) : null,
    message: redact(error.message),
    ...(options.stack && error.stack ? { stack: redact(error.stack) } : {}),
    ...(cause instanceof Error && depth < MAX_CAUSES ? { cause: describeError(cause, options, depth + 1) } : {}),
  }
}

/** An unexpected failure, which is logged with its stack. */
export function isBug(error: unknown): boolean {
  return !isSealiftError(error) || error.code === 'internal'
}

import { DatabaseError } from 'pg'

import { SealiftError } from '../../../protocol/errors.ts'

/**
 * How the database failed:
 * - `refused`: no connection could be opened; `busy`: all connections stayed in use for too long;
 * - `not-begun`: the connection broke before a commit was sent, so nothing was changed;
 * - `unknown-commit`: it broke, or timed out, while a commit was in flight ([Note: unknown commits] in
 *   queries/transactions.ts);
 * - `late`: the statement timed out; `sql`: the database refused it, with an SQLSTATE.
 */
export type FailureKind = 'refused' | 'busy' | 'not-begun' | 'unknown-commit' | 'late' | 'sql'

/** An error of the driver, without the parts of the database's own error that quote rows or passwords. */
export class PostgresFailure extends Error {
  readonly kind: FailureKind
  /** SQLSTATE, or the system's code (ECONNREFUSED), or `null`. */
  readonly state: string | null

  constructor(kind: FailureKind, error: unknown) {
    super(firstLine(error))
    this.name = 'PostgresFailure'
    this.kind = kind
    this.state = codeOf(error)
  }
}

export function connectFailure(error: unknown): PostgresFailure {
  const busy = error instanceof Error && error.message === 'timeout exceeded when trying to connect'
  return new PostgresFailure(busy ? 'busy' : 'refused', error)
}

export function queryFailure(error: unknown, { late }: { late: boolean }): PostgresFailure {
  if (late) return new PostgresFailure('late', new Error('Timed out'))
  const state = error instanceof DatabaseError ? (error.code ?? '') : null
  return new PostgresFailure(state === null || isBreak(state) ? 'not-begun' : 'sql', error)
}

/** `unknown-commit`, unless the database itself reports that the commit failed. */
export function commitFailure(error: unknown, { late }: { late: boolean }): PostgresFailure {
  const failure = queryFailure(error, { late })
  const isCertain = failure.kind === 'sql' && /^(23|25|40)/.test(failure.state ?? '')
  return isCertain ? failure : new PostgresFailure('unknown-commit', late ? new Error('Timed out') : error)
}

/**
 * SQLSTATEs with which the server ends a connection: it stops, it crashed, or the transaction was idle for too long.
 */
function isBreak(state: string): boolean {
  return state.startsWith('08') || ['57P01', '57P02', '57P03', '57P05', '25P03'].includes(state)
}

function codeOf(error: unknown): string | null {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : null
}

/** The message names no values, except the user, database and address of a connection attempt. */
function firstLine(error: unknown): string {
  if (error instanceof AggregateError && error.message === '') return firstLine(error.errors[0])
  return error instanceof Error ? error.message : 'unknown'
}

/** A statement was prepared before a newer node changed the schema. */
export function isStale({ state, message }: PostgresFailure): boolean {
  return state === '0A000' && message.includes('cached plan')
}

/** Nothing was changed, and a retry may succeed: also after a deadlock or a serialization failure. */
export function isWorthRetrying(failure: PostgresFailure): boolean {
  if (failure.kind === 'not-begun' || isStale(failure)) return true
  return failure.kind === 'sql' && (failure.state === '40001' || failure.state === '40P01')
}

/** The connection cannot be reused: broken, in an unknown state, or to a read-only server. */
export function spoilsConnection({ kind, state }: PostgresFailure): boolean {
  return kind !== 'sql' || state === '25006' || state === '0A000'
}

/** A failure as a SealiftError; any other error (a refusal, a bug) unchanged. */
export function translatePostgresFailure(error: unknown): unknown {
  if (!(error instanceof PostgresFailure)) return error
  if (error.state === '53100') {
    return new SealiftError('storage_full', 'The disk that holds the records is full: free some space', {
      cause: error,
    })
  }
  if (error.state === '22021') {
    return new SealiftError('invalid_request', 'A text holds a character that cannot be stored', { cause: error })
  }
  return new SealiftError('unavailable', unavailable(error), { cause: error })
}

const NO_PERMISSION =
  'records.postgres.url: its user may not create or use the tables: let it own the database, or grant it USAGE and CREATE on the schema'

function unavailable({ kind, state }: PostgresFailure): string {
  if (kind === 'refused') return `The record database cannot be reached${state === null ? '' : ` (${state})`}`
  if (kind === 'busy') return 'All connections to the record database stayed in use (records.postgres.poolSize)'
  if (kind === 'not-begun') return 'The connection to the record database broke; nothing was changed'
  if (kind === 'unknown-commit') return 'The outcome of the database commit is unknown'
  if (kind === 'late' || state === '57014')
    return 'The record database takes too long (records.postgres.statementTimeout)'
  if (state === '25006') return 'The record database is read-only (records.postgres.url)'
  if (state === '42501' || state === '3F000') return NO_PERMISSION
  return `The record database failed (${state})`
}

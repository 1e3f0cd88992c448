import { DatabaseError } from 'pg'

import { SealiftError } from '../../../protocol/errors.ts'

/**
 * How the database failed:
 * - `refused`: no connection could be made; `busy`: all of them stayed in use for too long;
 * - `lost`: the connection broke before a commit was asked for, so nothing was changed;
 * - `unsettled`: it broke, or nobody answered, while a commit was on its way ([Note: lost answers] in database.ts);
 * - `late`: no answer within the time allowed; `sql`: the database said no, with an SQLSTATE.
 */
export type FailureKind = 'refused' | 'busy' | 'lost' | 'unsettled' | 'late' | 'sql'

/** What the driver throws. Of the database's own error only what may be told is kept: others quote rows and passwords. */
export class PostgresFailure extends Error {
  readonly kind: FailureKind
  /** SQLSTATE, or the system's code (ECONNREFUSED), or `null`. */
  readonly state: string | null

  constructor(kind: FailureKind, error: unknown) {
    super(tellable(error))
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
  if (late) return new PostgresFailure('late', new Error('No answer in time'))
  const state = error instanceof DatabaseError ? (error.code ?? '') : null
  return new PostgresFailure(state === null || isBreak(state) ? 'lost' : 'sql', error)
}

/** A commit either surely did not happen, or nobody knows. */
export function commitFailure(error: unknown, { late }: { late: boolean }): PostgresFailure {
  const failure = queryFailure(error, { late })
  const sure = failure.kind === 'sql' && /^(23|25|40)/.test(failure.state ?? '')
  return sure ? failure : new PostgresFailure('unsettled', late ? new Error('No answer in time') : error)
}

/** SQLSTATEs with which the server ends a connection: it stops, it crashed, we stood still within a transaction. */
function isBreak(state: string): boolean {
  return state.startsWith('08') || ['57P01', '57P02', '57P03', '57P05', '25P03'].includes(state)
}

function codeOf(error: unknown): string | null {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : null
}

/** The first line names no values but those of connecting: user, database and address. */
function tellable(error: unknown): string {
  if (error instanceof AggregateError && error.message === '') return tellable(error.errors[0])
  return error instanceof Error ? error.message : 'unknown'
}

/** A statement was prepared before a newer node changed the schema. */
export function isStale({ state, message }: PostgresFailure): boolean {
  return state === '0A000' && message.includes('cached plan')
}

/** Nothing was changed, and the same may well go through now: also after a deadlock or a conflict of snapshots. */
export function isWorthRetrying(failure: PostgresFailure): boolean {
  if (failure.kind === 'lost' || isStale(failure)) return true
  return failure.kind === 'sql' && (failure.state === '40001' || failure.state === '40P01')
}

/** A connection that is of no use any more: broken, in an unknown state, or to a server that takes no changes now. */
export function spoilsConnection({ kind, state }: PostgresFailure): boolean {
  return kind !== 'sql' || state === '25006' || state === '0A000'
}

/** As the rest of the program knows it. Anything else (a refusal, a bug) stays as it is. */
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

const NO_RIGHTS =
  'records.postgres.url: its user may not make or use the tables: let it own the database, or grant it USAGE and CREATE on the schema'

function unavailable({ kind, state }: PostgresFailure): string {
  if (kind === 'refused') return `The record database cannot be reached${state === null ? '' : ` (${state})`}`
  if (kind === 'busy') return 'All connections to the record database stayed in use (records.postgres.poolSize)'
  if (kind === 'lost') return 'The connection to the record database broke'
  if (kind === 'unsettled') return 'The record database did not tell whether it made the change'
  if (kind === 'late' || state === '57014')
    return 'The record database takes too long (records.postgres.statementTimeout)'
  if (state === '25006') return 'The record database takes no changes now: it is read-only (records.postgres.url)'
  if (state === '42501' || state === '3F000') return NO_RIGHTS
  return `The record database failed (${state})`
}

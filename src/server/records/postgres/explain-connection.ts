/** What is wrong with `records.postgres.url`, in one line for a person. Its password is in none of them. */
import { SealiftError } from '../../../protocol/errors.ts'

/** What an address names, without its secret. */
export interface PostgresPlace {
  readonly user: string
  readonly database: string
  /** `host:port` */
  readonly address: string
}

const DEFAULT_PORT = '5432'

/** @throws unavailable when it is no such address */
export function placeOf(url: string): PostgresPlace {
  const parsed = URL.parse(url)
  if (!parsed || !/^postgres(ql)?:$/.test(parsed.protocol)) {
    throw new SealiftError('unavailable', 'records.postgres.url is not postgres://user:password@host:port/database')
  }
  const host = parsed.searchParams.get('host') ?? (parsed.hostname || 'localhost')
  const user = decodeURIComponent(parsed.username)
  return {
    user,
    database: decodeURIComponent(parsed.pathname.slice(1)) || user,
    address: host.startsWith('/') ? host : `${host}:${parsed.port || DEFAULT_PORT}`,
  }
}

export function explainPostgres(error: unknown, place: PostgresPlace): string {
  return `records.postgres.url: ${reason(error, place)}`
}

function reason(error: unknown, { user, database, address }: PostgresPlace): string {
  const code = codeOf(error) ?? ''
  const message = error instanceof Error ? error.message : ''
  switch (code) {
    case 'ECONNREFUSED':
      return `nobody listens at ${address}. Is the database running, and is that its port?`
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `${address} is no known host`
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
      return `${address} cannot be reached from here (${code})`
    case 'ENOENT':
    case 'EACCES':
      return `there is no socket of a database at ${address} that this user may open (${code})`
    case '28P01':
      return `the database at ${address} refuses the password of "${user}"`
    case '28000':
      return `the database at ${address} does not let "${user}" in from here (see its pg_hba.conf)`
    case '3D000':
      return `there is no database "${database}" at ${address}: make it with "createdb ${database}"`
    case '42501':
      return `"${user}" may not use database "${database}" at ${address}`
    case '53300':
      return `the database at ${address} has no connection left (its max_connections)`
    case '57P03':
      return `the database at ${address} is still starting, or recovering`
    default:
      break
  }
  if (message.startsWith('SASL')) return `the database at ${address} asks "${user}" for a password, and none is given`
  if (/timeout|timed out/i.test(message) || code === 'ETIMEDOUT') return `${address} does not answer`
  if (/SSL|certificate|self.signed/i.test(message)) return `no safe connection to ${address}: ${message}`
  return `the database at ${address} cannot be used (${code || 'the connection broke'})`
}

/** One address may stand for several (IPv4 and IPv6); each has failed then. */
function codeOf(error: unknown): string | null {
  if (error instanceof AggregateError) return codeOf(error.errors[0])
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : null
}

/** Why `records.postgres.url` does not work, in one line for a person, without its password. */
import { SealiftError } from '../../../protocol/errors.ts'

/** The server and database of a connection URL, without its password. */
export interface PostgresServer {
  readonly user: string
  readonly database: string
  /** `host:port` */
  readonly address: string
}

const DEFAULT_PORT = '5432'

/** @throws unavailable when it is no PostgreSQL URL */
export function databaseServerOf(url: string): PostgresServer {
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

export function explainPostgres(error: unknown, server: PostgresServer): string {
  return `records.postgres.url: ${reason(error, server)}`
}

function reason(error: unknown, { user, database, address }: PostgresServer): string {
  const code = codeOf(error) ?? ''
  const message = error instanceof Error ? error.message : ''
  switch (code) {
    case 'ECONNREFUSED':
      return `no server listens at ${address}. Is the database running, and is that its port?`
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
      return `the database at ${address} refuses "${user}" from this host (see its pg_hba.conf)`
    case '3D000':
      return `there is no database "${database}" at ${address}: create it with "createdb ${database}"`
    case '42501':
      return `"${user}" may not use database "${database}" at ${address}`
    case '53300':
      return `the database at ${address} has no free connection (its max_connections)`
    case '57P03':
      return `the database at ${address} is still starting, or recovering`
    default:
      break
  }
  if (message.startsWith('SASL'))
    return `the database at ${address} requires a password for "${user}", and the URL has none`
  if (/timeout|timed out/i.test(message) || code === 'ETIMEDOUT') return `${address} does not respond`
  if (/SSL|certificate|self.signed/i.test(message)) return `no secure connection to ${address}: ${message}`
  return `the database at ${address} cannot be used (${code || 'the connection broke'})`
}

/** A host name may have several IP addresses: then each has failed. */
function codeOf(error: unknown): string | null {
  if (error instanceof AggregateError) return codeOf(error.errors[0])
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : null
}

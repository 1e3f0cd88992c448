/** The record database of a cluster: it is usable, commits durably, and has connections for all nodes. */
import { Client } from 'pg'

import { isSealiftError } from '../../protocol/errors.ts'
import { formatDuration } from '../../protocol/units.ts'
import { type PostgresConfig, loadProbes } from '../../server/index.ts'
import { explain } from '../error-text.ts'
import { CLOCK_NOTE_MS, type Check, fail, ok, warn } from './check.ts'

export interface PostgresCheckOptions {
  readonly postgres: PostgresConfig
  /** Serving processes of all nodes, as far as they are known. */
  readonly processes: number
}

export async function* checkPostgres(options: PostgresCheckOptions): AsyncGenerator<Check> {
  const client = await connect(options.postgres)
  if (client instanceof Client) yield* checkConnected(client, options)
  else yield client
}

async function* checkConnected(client: Client, { postgres, processes }: PostgresCheckOptions): AsyncGenerator<Check> {
  const { cut, databaseServerOf } = await loadProbes()
  try {
    const facts = await ask(client)
    yield ok('postgres', `PostgreSQL ${facts.version} at ${databaseServerOf(postgres.url).address} responds`)
    yield writable(facts)
    yield await schema(postgres)
    yield durability(facts)
    yield connections(facts, postgres, processes)
    yield clock(facts)
  } catch (error) {
    yield fail('postgres', `records.postgres.url: ${explain(error).message}`)
  } finally {
    cut(client)
  }
}

async function connect(postgres: PostgresConfig): Promise<Client | Check> {
  const { clientConfig, cut, explainPostgres, databaseServerOf } = await loadProbes()
  try {
    const place = databaseServerOf(postgres.url)
    const client = new Client({ ...clientConfig(postgres), query_timeout: postgres.statementTimeoutMs })
    client.on('error', () => undefined)
    try {
      await client.connect()
      return client
    } catch (error) {
      cut(client)
      return fail('postgres', explainPostgres(error, place))
    }
  } catch (error) {
    return fail('postgres', explain(error).message)
  }
}

interface Facts {
  readonly version: string
  readonly fsync: string
  readonly synchronous_commit: string
  readonly full_page_writes: string
  readonly read_only: boolean
  readonly may_create: boolean
  readonly max_connections: number
  readonly reserved: number
  readonly role_limit: number
  readonly database_limit: number
  readonly now: number
  /** How far this machine is ahead; the question took no longer than `withinMs`. */
  readonly aheadMs: number
  readonly withinMs: number
}

const QUESTION = `select
  current_setting('server_version') as version, current_setting('fsync') as fsync,
  current_setting('synchronous_commit') as synchronous_commit, current_setting('full_page_writes') as full_page_writes,
  pg_is_in_recovery() or current_setting('transaction_read_only') = 'on' as read_only,
  coalesce(has_schema_privilege(current_schema(), 'CREATE'), false) as may_create,
  current_setting('max_connections')::int as max_connections,
  current_setting('superuser_reserved_connections')::int
    + coalesce(current_setting('reserved_connections', true), '0')::int as reserved,
  (select rolconnlimit from pg_roles where rolname = current_user) as role_limit,
  (select datconnlimit from pg_database where datname = current_database()) as database_limit,
  (extract(epoch from clock_timestamp()) * 1000)::float8 as now`

async function ask(client: Client): Promise<Facts> {
  const before = Date.now()
  const { rows } = await client.query<Omit<Facts, 'aheadMs' | 'withinMs'>>(QUESTION)
  const after = Date.now()
  const [row] = rows
  if (!row) throw new Error('the database returned nothing')
  return { ...row, aheadMs: (before + after) / 2 - row.now, withinMs: after - before }
}

function writable({ read_only, may_create }: Facts): Check {
  if (read_only) {
    return fail('pg writable', 'the database takes no changes: records.postgres.url must name the primary')
  }
  if (may_create) return ok('pg writable', 'changes are taken')
  const advice = 'let it own the database, or grant it USAGE and CREATE on the schema'
  return fail('pg writable', `the user of records.postgres.url may not make tables: ${advice}`)
}

async function schema(postgres: PostgresConfig): Promise<Check> {
  const { openPostgresRecordStore } = await loadProbes()
  await using records = await openPostgresRecordStore(postgres)
  try {
    await records.checkSchema()
    return ok('pg schema', 'up to date')
  } catch (error) {
    if (isSealiftError(error) && Array.isArray(error.context['missing'])) {
      return ok('pg schema', 'not up to date; the next start of a server brings it there')
    }
    return fail('pg schema', explain(error).message)
  }
}

function durability({ fsync, full_page_writes, synchronous_commit }: Facts): Check {
  const off = Object.entries({ fsync, full_page_writes }).filter(([, value]) => value !== 'on')
  if (off.length > 0) {
    const names = off.map(([name]) => name).join(' and ')
    return fail('pg durability', `${names} off: a power loss can damage all records; turn it on`)
  }
  const text = `fsync on, synchronous_commit ${synchronous_commit}`
  if (synchronous_commit !== 'off') return ok('pg durability', text)
  return ok('pg durability', `${text} (Sealift turns it on for its own connections)`)
}

/** Each process has its pool, and one more connection while it starts. */
function connections(facts: Facts, { poolSize }: PostgresConfig, processes: number): Check {
  const limits = [facts.max_connections - facts.reserved, facts.role_limit, facts.database_limit]
  const available = Math.min(...limits.filter(limit => limit >= 0))
  const needed = processes * (poolSize + 1)
  const text = `${available} for Sealift and all others, ${needed} needed by ${processes} processes × (poolSize ${poolSize} + 1)`
  if (needed > available) {
    const fits = Math.max(1, Math.floor(available / processes) - 1)
    const advice = `raise max_connections, or set records.postgres.poolSize to ${fits} or less`
    return fail('pg connections', `${text}: ${advice}`)
  }
  return ok('pg connections', `${text}; enough for ${Math.floor(available / (poolSize + 1))} processes in all`)
}

function clock({ aheadMs, withinMs }: Facts): Check {
  const differenceMs = Math.max(0, Math.abs(aheadMs) - withinMs)
  if (differenceMs < CLOCK_NOTE_MS) return ok('pg clock', 'agrees with this machine')
  const text = `this machine and the database differ by ${formatDuration(differenceMs)}`
  return warn('pg clock', `${text}: nodes follow the database; keep both by NTP`)
}

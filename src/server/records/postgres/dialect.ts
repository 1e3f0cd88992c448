import {
  type CompiledQuery,
  type DatabaseConnection,
  type DatabaseMetadataOptions,
  type Dialect,
  type Driver,
  type Kysely,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
  type QueryResult,
  sql,
  type TableMetadata,
  type TransactionSettings,
} from 'kysely'
import type { QueryConfig, QueryResult as PgResult } from 'pg'

import { isWorthRetrying, PostgresFailure, spoilsConnection, translatePostgresFailure } from './failures.ts'
import type { ConnectionPool, PooledClient } from './pool.ts'

/** Kysely over the connections that `acquire` returns. */
function dialect(acquire: () => Promise<DatabaseConnection>): Dialect {
  return {
    createAdapter: () => new PostgresAdapter(),
    createDriver: () => new PostgresDriver(acquire),
    createIntrospector: db => new OwnTables(db),
    createQueryCompiler: () => new PostgresQueryCompiler(),
  }
}

/** Each query uses any free connection, outside a transaction. Rejects as the port says. */
export function readingDialect(pool: ConnectionPool): Dialect {
  return dialect(async () => new AnyConnection(pool))
}

/** Each transaction has its own connection. Rejects with `PostgresFailure`. */
export function ownConnectionDialect(pool: ConnectionPool): Dialect {
  return dialect(async () => new ClientConnection(await pool.connect()))
}

/** All queries use `client`. */
export function singleConnectionDialect(client: PooledClient): Dialect {
  const connection = new ClientConnection(client)
  return dialect(async () => connection)
}

/**
 * The tables that an unqualified name finds. Another program, or another Sealift, may have tables of the same names in
 * another schema of the same database.
 */
class OwnTables extends PostgresIntrospector {
  readonly #db: Kysely<unknown>

  constructor(db: Kysely<unknown>) {
    super(db)
    this.#db = db
  }

  override async getTables(options?: DatabaseMetadataOptions): Promise<TableMetadata[]> {
    const { rows } = await sql<{ name: string; schema: string }>`
      select c.relname as name, n.nspname as schema from pg_catalog.pg_class c
      join pg_catalog.pg_namespace n on n.oid = c.relnamespace where pg_catalog.pg_table_is_visible(c.oid)`.execute(
      this.#db,
    )
    const meant = new Set(rows.map(({ schema, name }) => `${schema}.${name}`))
    return (await super.getTables(options)).filter(({ schema, name }) => meant.has(`${schema}.${name}`))
  }
}

class PostgresDriver implements Driver {
  readonly #acquire: () => Promise<DatabaseConnection>

  constructor(acquire: () => Promise<DatabaseConnection>) {
    this.#acquire = acquire
  }
  async init(): Promise<void> {}
  acquireConnection(): Promise<DatabaseConnection> {
    return this.#acquire()
  }
  async beginTransaction(connection: DatabaseConnection, { accessMode }: TransactionSettings): Promise<void> {
    await ownConnection(connection).begin(accessMode === 'read only' ? BEGIN_SNAPSHOT : BEGIN)
  }
  async commitTransaction(connection: DatabaseConnection): Promise<void> {
    await ownConnection(connection).commit()
  }
  async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    await ownConnection(connection).rollback()
  }
  async releaseConnection(connection: DatabaseConnection): Promise<void> {
    if (connection instanceof ClientConnection) connection.release()
  }
  async destroy(): Promise<void> {}
}

function ownConnection(connection: DatabaseConnection): ClientConnection {
  if (connection instanceof ClientConnection) return connection
  throw new Error('This connection only reads')
}

/**
 * Regardless of the database's settings: each statement of a transaction sees what was committed before it, and a
 * commit is confirmed only once it is on the disk (and on those of synchronous standbys). One round trip.
 */
const BEGIN = `begin isolation level read committed; select set_config('synchronous_commit', 'on', true)
  where current_setting('synchronous_commit') in ('off', 'local')`

/** All statements see the snapshot of the first one. */
const BEGIN_SNAPSHOT = 'begin isolation level repeatable read read only'

class ClientConnection implements DatabaseConnection {
  readonly #client: PooledClient
  #spoilt = false

  constructor(client: PooledClient) {
    this.#client = client
  }

  async executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    return rowsOf<R>(await this.#send(() => this.#client.query(named(query))))
  }

  // oxlint-disable-next-line require-yield -- the interface asks for it; nothing here streams rows
  async *streamQuery<R>(): AsyncIterableIterator<QueryResult<R>> {
    throw new Error('Rows are read in batches, never streamed')
  }

  async begin(text: string): Promise<void> {
    await this.#send(() => this.#client.query({ text }))
  }

  async commit(): Promise<void> {
    await this.#send(() => this.#client.commit())
  }

  /** A broken connection has rolled back already. */
  async rollback(): Promise<void> {
    if (!this.#spoilt) await this.#send(() => this.#client.query({ text: 'rollback' })).catch(() => undefined)
  }

  release(): void {
    this.#client.release({ spoilt: this.#spoilt })
  }

  async #send<T>(run: () => Promise<T>): Promise<T> {
    try {
      return await run()
    } catch (error) {
      this.#spoilt ||= !(error instanceof PostgresFailure) || spoilsConnection(error)
      throw error
    }
  }
}

class AnyConnection implements DatabaseConnection {
  readonly #pool: ConnectionPool

  constructor(pool: ConnectionPool) {
    this.#pool = pool
  }

  /** An idle connection of the pool may be broken: a query that has not begun is retried once on another one. */
  async executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    try {
      return await this.#once<R>(query).catch((error: unknown) => {
        if (error instanceof PostgresFailure && isWorthRetrying(error)) return this.#once<R>(query)
        throw error
      })
    } catch (error) {
      throw translatePostgresFailure(error)
    }
  }

  // oxlint-disable-next-line require-yield -- the interface asks for it; nothing here streams rows
  async *streamQuery<R>(): AsyncIterableIterator<QueryResult<R>> {
    throw new Error('Rows are read in batches, never streamed')
  }

  async #once<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    const connection = new ClientConnection(await this.#pool.connect())
    try {
      return await connection.executeQuery<R>(query)
    } finally {
      connection.release()
    }
  }
}

/** Prepared statements per connection. */
const NAMED_TEXTS = 200
/** Lists of changing length have many texts, which are not prepared. */
const NAMED_PARAMETERS = 16
const names = new Map<string, string>()

/** A named statement is parsed and planned once per connection. */
function named({ sql: text, parameters }: CompiledQuery): QueryConfig {
  const values = [...parameters]
  const name = names.get(text) ?? (isWorthPreparing(values) ? `s${names.size + 1}` : undefined)
  if (name === undefined) return { text, values }
  names.set(text, name)
  return { text, values, name }
}

function isWorthPreparing(values: readonly unknown[]): boolean {
  return values.length > 0 && values.length <= NAMED_PARAMETERS && names.size < NAMED_TEXTS
}

function rowsOf<R>({ command, rowCount, rows }: PgResult): QueryResult<R> {
  const changes = ['INSERT', 'UPDATE', 'DELETE'].includes(command)
  return { rows: rows as R[], ...(changes ? { numAffectedRows: BigInt(rowCount ?? 0) } : {}) }
}

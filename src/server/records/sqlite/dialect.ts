import type BetterSqlite3 from 'better-sqlite3'
import {
  CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  type SelectModifierNode,
  SqliteQueryCompiler,
} from 'kysely'

import { BoundedMap } from '../../../common/bounded-map.ts'
import { SealiftError } from '../../../protocol/errors.ts'
import { translateSqliteError } from './failures.ts'

/** Prepared statements in the cache. Queries with lists of changing length have many texts, so it is bounded. */
const STATEMENT_CACHE_SIZE = 256

/** Kysely over one better-sqlite3 connection, with prepared statements cached by their text. */
export function sqliteDialect(database: BetterSqlite3.Database): Dialect {
  const connection = new SqliteConnection(database)
  return {
    createAdapter: () => new SingleConnectionAdapter(),
    createDriver: () => new SqliteDriver(connection),
    createIntrospector: db => new SqliteIntrospector(db),
    createQueryCompiler: () => new LocklessCompiler(),
  }
}

/** GroupCommit separates the transactions of this connection, so Kysely's own mutex would only cost time. */
class SingleConnectionAdapter extends SqliteAdapter {
  override get supportsMultipleConnections(): boolean {
    return true
  }
  override get supportsTransactionalDdl(): boolean {
    return true
  }
  override get supportsCreateIfNotExists(): boolean {
    return true
  }
}

const LOCKS: ReadonlySet<string | undefined> = new Set(['ForUpdate', 'ForShare', 'SkipLocked'])

/** SQLite has no row locks and no syntax for them ([Note: row locks] in queries/transactions.ts). */
class LocklessCompiler extends SqliteQueryCompiler {
  protected override visitSelectModifier(node: SelectModifierNode): void {
    if (!LOCKS.has(node.modifier)) super.visitSelectModifier(node)
  }
}

class SqliteDriver implements Driver {
  readonly #connection: SqliteConnection

  constructor(connection: SqliteConnection) {
    this.#connection = connection
  }
  async init(): Promise<void> {}
  async acquireConnection(): Promise<DatabaseConnection> {
    return this.#connection
  }
  async beginTransaction(): Promise<void> {
    await this.#connection.executeQuery(CompiledQuery.raw('begin immediate'))
  }
  async commitTransaction(): Promise<void> {
    await this.#connection.executeQuery(CompiledQuery.raw('commit'))
  }
  async rollbackTransaction(): Promise<void> {
    await this.#connection.executeQuery(CompiledQuery.raw('rollback'))
  }
  async releaseConnection(): Promise<void> {}
  async destroy(): Promise<void> {}
}

class SqliteConnection implements DatabaseConnection {
  readonly #database: BetterSqlite3.Database
  readonly #statements = new BoundedMap<string, BetterSqlite3.Statement>(STATEMENT_CACHE_SIZE)

  constructor(database: BetterSqlite3.Database) {
    this.#database = database
  }

  async executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    if (!this.#database.open) throw new SealiftError('unavailable', 'The record database was closed')
    try {
      const statement = this.#prepare(query.sql)
      if (statement.reader) return { rows: statement.all(query.parameters) as R[] }
      return { numAffectedRows: BigInt(statement.run(query.parameters).changes), rows: [] }
    } catch (error) {
      throw translateSqliteError(error)
    }
  }

  // oxlint-disable-next-line require-yield -- the interface asks for it; nothing here streams rows
  async *streamQuery<R>(): AsyncIterableIterator<QueryResult<R>> {
    throw new Error('Rows are read in batches, never streamed')
  }

  #prepare(text: string): BetterSqlite3.Statement {
    return this.#statements.getOrSet(text, () => this.#database.prepare(text))
  }
}

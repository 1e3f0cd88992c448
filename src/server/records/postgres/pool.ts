/** Connections to PostgreSQL: their settings, timeouts and end. */
import { type Client, type ClientConfig, Pool, type PoolClient, type QueryConfig, type QueryResult, types } from 'pg'

import { commitFailure, connectFailure, isStale, queryFailure } from './failures.ts'

export interface PostgresSettings {
  /** `postgres://user:password@host:port/database?sslmode=…` */
  readonly url: string
  /** Connections of this process at most. At least two. */
  readonly poolSize: number
  /** How long a call waits for a free or a new connection. */
  readonly connectTimeoutMs: number
  /** Timeout of a statement, with the time it waits for locks. */
  readonly statementTimeoutMs: number
}

/** The server times a statement out first, with an error; after this, the server hangs and the connection is cut. */
const GRACE_MS = 500
/** A node that hangs within a transaction holds locks that others wait for. */
const IDLE_IN_TRANSACTION_FACTOR = 2
const IDLE_MS = 30_000
const CLOSE_MS = 2000

const INT8 = 20

/** Every count stays below 2^53 (schema.ts). */
const numbers = {
  getTypeParser(oid: number, format?: 'text' | 'binary') {
    return oid === INT8 && format !== 'binary' ? Number : types.getTypeParser(oid, format)
  },
} as ClientConfig['types']

export function clientConfig({ url, connectTimeoutMs }: PostgresSettings): ClientConfig {
  return {
    connectionString: withPlainTls(url),
    connectionTimeoutMillis: connectTimeoutMs,
    application_name: 'sealift',
    keepAlive: true,
    ...(numbers === undefined ? {} : { types: numbers }),
  }
}

/** The driver treats these modes as `verify-full` as well, with a warning of seven lines on standard error. */
function withPlainTls(url: string): string {
  return url.includes('uselibpqcompat')
    ? url
    : url.replace(/([?&]sslmode=)(prefer|require|verify-ca)(?=&|$)/, '$1verify-full')
}

/** A pool whose idle connections may fail silently, and which can be closed at any time. */
export class ConnectionPool implements AsyncDisposable {
  readonly #settings: PostgresSettings
  readonly #pool: Pool
  /** Each with its generation. */
  readonly #clients = new Map<PoolClient, number>()
  #generation = 0
  #closed = false

  constructor(settings: PostgresSettings, size: number) {
    this.#settings = settings
    this.#pool = new Pool({
      ...clientConfig(settings),
      max: size,
      idleTimeoutMillis: IDLE_MS,
      statement_timeout: settings.statementTimeoutMs,
      idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_FACTOR * settings.statementTimeoutMs,
    })
    this.#pool.on('connect', client => {
      this.#clients.set(client, this.#generation)
      // A query in flight rejects by itself; an idle connection is replaced.
      client.on('error', () => undefined)
    })
    this.#pool.on('remove', client => this.#clients.delete(client))
    this.#pool.on('error', () => undefined)
  }

  /** @throws PostgresFailure */
  async connect(): Promise<PooledClient> {
    const limitMs = this.#settings.statementTimeoutMs + GRACE_MS
    for (;;) {
      const client = await this.#pool.connect().catch((error: unknown) => {
        throw connectFailure(error)
      })
      const generation = this.#clients.get(client) ?? 0
      const pooled = new PooledClient(client, limitMs, () => this.#retire(generation))
      if (generation >= this.#generation) return pooled
      pooled.release({ spoilt: true })
    }
  }

  /** A newer node changed the schema: statements that connections of this generation have prepared are stale. */
  #retire(generation: number): void {
    this.#generation = Math.max(this.#generation, generation + 1)
  }

  /** Waits at most `CLOSE_MS` for running queries, then cuts their connections. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    const late = setTimeout(() => {
      for (const client of this.#clients.keys()) cut(client)
    }, CLOSE_MS)
    await this.#pool.end()
    clearTimeout(late)
  }
}

/** One connection, of the pool or its own. */
export class PooledClient {
  readonly #client: Client & Partial<Pick<PoolClient, 'release'>>
  readonly #limitMs: number | null
  readonly #onStale: () => void
  #warnings = 0

  /**
   * `limitMs`: after this time within a statement the connection is cut; `null`: never. `onStale`: a prepared statement
   * does not fit the schema any more.
   */
  constructor(client: Client | PoolClient, limitMs: number | null, onStale: () => void = () => undefined) {
    this.#client = client
    this.#limitMs = limitMs
    this.#onStale = onStale
    client.on('notice', this.#onNotice)
  }

  /** @throws PostgresFailure */
  async query(query: QueryConfig): Promise<QueryResult> {
    const { result, isLate } = this.#send(query)
    try {
      return await result
    } catch (error) {
      const failure = queryFailure(error, { late: isLate() })
      if (isStale(failure)) this.#onStale()
      throw failure
    }
  }

  /**
   * A commit with a warning was not confirmed by the standby: it may still be lost.
   * @throws PostgresFailure, `unknown-commit` unless it certainly failed
   */
  async commit(): Promise<void> {
    const warningsBefore = this.#warnings
    const { result: committed, isLate } = this.#send({ text: 'commit' })
    const result = await committed.catch((error: unknown) => {
      throw commitFailure(error, { late: isLate() })
    })
    if (result.command !== 'COMMIT') throw new Error('The transaction was rolled back by an error that was swallowed')
    if (this.#warnings > warningsBefore) {
      throw commitFailure(new Error('The commit was not confirmed by a standby'), { late: false })
    }
  }

  /** `spoilt`: the connection is closed, not reused. */
  release({ spoilt }: { spoilt: boolean }): void {
    this.#client.off('notice', this.#onNotice)
    if (spoilt) cut(this.#client)
    this.#client.release?.(spoilt)
  }

  readonly #onNotice = ({ severity }: { severity?: string | undefined }): void => {
    if (severity === 'WARNING') this.#warnings += 1
  }

  #send(query: QueryConfig): { readonly result: Promise<QueryResult>; readonly isLate: () => boolean } {
    let late = false
    const timer =
      this.#limitMs === null
        ? null
        : setTimeout(() => {
            late = true
            cut(this.#client)
          }, this.#limitMs)
    const result = this.#client.query(query).finally(() => {
      if (timer) clearTimeout(timer)
    })
    return { result, isLate: () => late }
  }
}

/** Closes a connection at once: its queries in flight fail. */
export function cut(client: Client): void {
  client.connection.stream.destroy()
}

/** Connections to PostgreSQL: how they are set up, how long anything on them may take, and how they end. */
import { type Client, type ClientConfig, Pool, type PoolClient, type QueryConfig, type QueryResult, types } from 'pg'

import { commitFailure, connectFailure, isStale, queryFailure } from './errors.ts'

export interface PostgresSettings {
  /** `postgres://user:password@host:port/database?sslmode=…` */
  readonly url: string
  /** Connections of this process at most. At least two. */
  readonly poolSize: number
  /** How long a free connection, or a new one, is waited for. */
  readonly connectTimeoutMs: number
  /** What a single statement may take, with the time it waits for locks. */
  readonly statementTimeoutMs: number
}

/** The server gives up first, and says so; a server that stands still says nothing. */
const GRACE_MS = 500
/** A node that stands still within a transaction holds locks that others wait for. */
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

/** The driver takes these for `verify-full` as well, and says so in seven lines on standard error. */
function withPlainTls(url: string): string {
  return url.includes('uselibpqcompat')
    ? url
    : url.replace(/([?&]sslmode=)(prefer|require|verify-ca)(?=&|$)/, '$1verify-full')
}

/** A pool whose connections may fail at any time without anyone listening, and which can be closed at any time. */
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
      // What was asked for is told of it; nobody else needs to know.
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

  /** A newer node changed the schema: what connections of this age have prepared is of no use any more. */
  #retire(generation: number): void {
    this.#generation = Math.max(this.#generation, generation + 1)
  }

  /** Waits for what runs; a server that does not answer is not waited for. */
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

/** One connection, taken from the pool or on its own. */
export class PooledClient {
  readonly #client: Client & Partial<Pick<PoolClient, 'release'>>
  readonly #limitMs: number | null
  readonly #onStale: () => void
  #warnings = 0

  /**
   * `limitMs`: what a statement may take before the connection is cut; `null`: for ever. `onStale`: a prepared statement
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
    const { answer, isLate } = this.#ask(query)
    try {
      return await answer
    } catch (error) {
      const failure = queryFailure(error, { late: isLate() })
      if (isStale(failure)) this.#onStale()
      throw failure
    }
  }

  /**
   * A commit with a warning is one whose standby was not waited for: it may yet be lost.
   * @throws PostgresFailure, `unsettled` unless it surely failed
   */
  async commit(): Promise<void> {
    const warningsBefore = this.#warnings
    const { answer, isLate } = this.#ask({ text: 'commit' })
    const result = await answer.catch((error: unknown) => {
      throw commitFailure(error, { late: isLate() })
    })
    if (result.command !== 'COMMIT') throw new Error('The transaction was rolled back by an error that was swallowed')
    if (this.#warnings > warningsBefore) {
      throw commitFailure(new Error('The commit was not confirmed by a standby'), { late: false })
    }
  }

  /** `spoilt`: nobody uses this connection again. */
  release({ spoilt }: { spoilt: boolean }): void {
    this.#client.off('notice', this.#onNotice)
    if (spoilt) cut(this.#client)
    this.#client.release?.(spoilt)
  }

  readonly #onNotice = ({ severity }: { severity?: string | undefined }): void => {
    if (severity === 'WARNING') this.#warnings += 1
  }

  #ask(query: QueryConfig): { readonly answer: Promise<QueryResult>; readonly isLate: () => boolean } {
    let late = false
    const timer =
      this.#limitMs === null
        ? null
        : setTimeout(() => {
            late = true
            cut(this.#client)
          }, this.#limitMs)
    const answer = this.#client.query(query).finally(() => {
      if (timer) clearTimeout(timer)
    })
    return { answer, isLate: () => late }
  }
}

/** Ends a connection without a word: whatever was asked on it fails at once. */
export function cut(client: Client): void {
  client.connection.stream.destroy()
}

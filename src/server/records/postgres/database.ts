import { setTimeout as pause } from 'node:timers/promises'

import { Kysely } from 'kysely'
import { Client } from 'pg'

import { SealiftError } from '../../../protocol/errors.ts'
import type { Db, RecordDatabase } from '../queries/transactions.ts'
import { probe } from '../queries/kysely-record-store.ts'
import { ownConnectionDialect, readingDialect, singleConnectionDialect } from './dialect.ts'
import { connectFailure, isWorthRetrying, PostgresFailure, translatePostgresFailure } from './failures.ts'
import { clientConfig, ConnectionPool, PooledClient, type PostgresSettings } from './pool.ts'
import type { Schema } from '../schema.ts'

/** Retries of a change that lost a race. */
const RETRIES = 3
const RETRY_MS = 20
/** How long a commit of unknown outcome is retried, and the longest pause between two retries. */
const SETTLE_MS = 5000
const SETTLE_PAUSE_MS = 500
/** Reads have their own connections: many changes that wait for one client's row cannot stop downloads. */
const READING_SHARE = 0.25

/** Timeout of a statement that reads an entire table. */
const AUDIT_STATEMENT_MS = 60 * 60_000

/** The advisory lock of the schema. */
const MIGRATION_LOCK = 7_325_001
const MIGRATION_WAIT_MS = 5 * 60_000
const MIGRATION_POLL_MS = 200

export function openPostgresDatabase(settings: PostgresSettings): RecordDatabase {
  return new PostgresDatabase(settings)
}

class PostgresDatabase implements RecordDatabase {
  readonly dialect = 'postgres'
  readonly read: Kysely<Schema>
  readonly #settings: PostgresSettings
  readonly #readers: ConnectionPool
  readonly #writers: ConnectionPool
  readonly #changes: Kysely<Schema>

  constructor(settings: PostgresSettings) {
    const readers = Math.max(1, Math.round(settings.poolSize * READING_SHARE))
    this.#settings = settings
    this.#readers = new ConnectionPool(settings, readers)
    this.#writers = new ConnectionPool(settings, Math.max(1, settings.poolSize - readers))
    this.read = new Kysely<Schema>({ dialect: readingDialect(this.#readers) })
    this.#changes = new Kysely<Schema>({ dialect: ownConnectionDialect(this.#writers) })
  }

  async write<T>(work: (db: Db, again: boolean) => Promise<T>, signal?: AbortSignal): Promise<T> {
    const retries = new Retries()
    for (;;) {
      try {
        return await (retries.again
          ? this.#try(work, true)
          : abortUntilBegun(begin => this.#try(work, false, begin), signal))
      } catch (error) {
        if (!retries.shouldRetry(error)) throw translatePostgresFailure(error)
        await pause(retries.pauseMs())
      }
    }
  }

  snapshot<T>(work: (db: Db) => Promise<T>, signal?: AbortSignal): Promise<T> {
    signal?.throwIfAborted()
    return this.#onOwnConnection(AUDIT_STATEMENT_MS, connection => {
      signal?.throwIfAborted()
      const db = new Kysely<Schema>({ dialect: singleConnectionDialect(connection) })
      return db.transaction().setAccessMode('read only').execute(work)
    })
  }

  exclusively<T>(work: (db: Db) => Promise<T>, signal?: AbortSignal): Promise<T> {
    signal?.throwIfAborted()
    return this.#onOwnConnection(null, async connection => {
      await waitForLock(connection, signal)
      return work(new Kysely<Schema>({ dialect: singleConnectionDialect(connection) }))
    })
  }

  /** A new connection without the server's time limits: creating an index on a large table may take long. */
  async #onOwnConnection<T>(limitMs: number | null, work: (connection: PooledClient) => Promise<T>): Promise<T> {
    const client = new Client(clientConfig(this.#settings))
    client.on('error', () => undefined)
    const connection = new PooledClient(client, limitMs)
    try {
      await client.connect().catch((error: unknown) => {
        throw connectFailure(error)
      })
      await connection.query({ text: 'set statement_timeout = 0; set idle_in_transaction_session_timeout = 0' })
      return await work(connection)
    } catch (error) {
      throw translatePostgresFailure(error)
    } finally {
      // Closing the connection releases its advisory lock.
      connection.release({ spoilt: true })
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.#readers[Symbol.asyncDispose](), this.#writers[Symbol.asyncDispose]()])
  }

  /**
   * When an earlier try may have been committed, this one writes even if nothing is left to do: the confirmation of its
   * commit then proves that the earlier one is durable too.
   */
  #try<T>(work: (db: Db, again: boolean) => Promise<T>, again: boolean, begin = () => {}): Promise<T> {
    return this.#changes.transaction().execute(async db => {
      begin()
      if (again) await probe(db)
      return work(db, again)
    })
  }
}

/** Rejects when `signal` aborts before `begin` is called, also while the work waits for a connection. */
function abortUntilBegun<T>(work: (begin: () => void) => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return work(() => undefined)
  return new Promise<T>((resolve, reject) => {
    const abort = () => reject(signal.reason)
    const begin = () => {
      signal.throwIfAborted()
      signal.removeEventListener('abort', abort)
    }
    signal.throwIfAborted()
    signal.addEventListener('abort', abort, { once: true })
    void work(begin)
      .then(resolve, reject)
      .finally(() => signal.removeEventListener('abort', abort))
  })
}

/** Which failures of one change are worth a retry ([Note: unknown commits] in queries/transactions.ts). */
class Retries {
  /** True once a try may have been committed. */
  again = false
  #count = 0
  #settleUntilMs = 0

  shouldRetry(error: unknown): boolean {
    if (!(error instanceof PostgresFailure)) return false
    this.#count += 1
    if (error.kind === 'unknown-commit' && !this.again) {
      this.again = true
      this.#settleUntilMs = performance.now() + SETTLE_MS
    }
    if (this.again) return performance.now() < this.#settleUntilMs
    return this.#count <= RETRIES && isWorthRetrying(error)
  }

  /** Longer each time, with jitter. */
  pauseMs(): number {
    return Math.min(SETTLE_PAUSE_MS, RETRY_MS * 2 ** this.#count) * (0.5 + Math.random() / 2)
  }
}

/** Of nodes that start together, one changes the schema at a time. @throws unavailable when another takes too long */
async function waitForLock(connection: PooledClient, signal: AbortSignal | undefined): Promise<void> {
  const deadline = performance.now() + MIGRATION_WAIT_MS
  for (;;) {
    signal?.throwIfAborted()
    const { rows } = await connection.query({ text: `select pg_try_advisory_lock(${MIGRATION_LOCK}) as taken` })
    if ((rows as readonly { taken: boolean }[])[0]?.taken) return
    if (performance.now() > deadline) {
      throw new SealiftError('unavailable', 'Another node has been changing the schema of the records for minutes')
    }
    await pause(MIGRATION_POLL_MS)
  }
}

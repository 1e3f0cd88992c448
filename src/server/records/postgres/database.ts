import { setTimeout as pause } from 'node:timers/promises'

import { Kysely } from 'kysely'
import { Client } from 'pg'

import { SealiftError } from '../../../protocol/errors.ts'
import type { Db, RecordDatabase } from '../queries/database.ts'
import { probe } from '../queries/kysely-record-store.ts'
import { ownConnectionDialect, readingDialect, singleConnectionDialect } from './dialect.ts'
import { connectFailure, isWorthRetrying, PostgresFailure, translatePostgresFailure } from './errors.ts'
import { clientConfig, ConnectionPool, PooledClient, type PostgresSettings } from './pool.ts'
import type { Schema } from '../schema.ts'

/** Tries after the first that lost a race. */
const RETRIES = 3
const RETRY_MS = 20
/** How long the fate of a commit is asked after, and the longest pause between two questions. */
const SETTLE_MS = 5000
const SETTLE_PAUSE_MS = 500
/** Questions keep their own connections: a crowd of changes that wait for one client's row cannot stop downloads. */
const READING_SHARE = 0.25

/** What a statement that reads a whole table may take: a database that is silent for longer stands still. */
const AUDIT_STATEMENT_MS = 60 * 60_000

/** A number that means the schema of Sealift, to all that take such locks in this database. */
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

  async write<T>(work: (db: Db, again: boolean) => Promise<T>): Promise<T> {
    const tries = new Tries()
    for (;;) {
      try {
        return await this.#try(work, tries.again)
      } catch (error) {
        if (!tries.shallRepeat(error)) throw translatePostgresFailure(error)
        await pause(tries.pauseMs())
      }
    }
  }

  snapshot<T>(work: (db: Db) => Promise<T>): Promise<T> {
    return this.#onItsOwn(AUDIT_STATEMENT_MS, connection => {
      const db = new Kysely<Schema>({ dialect: singleConnectionDialect(connection) })
      return db.transaction().setAccessMode('read only').execute(work)
    })
  }

  exclusively<T>(work: (db: Db) => Promise<T>): Promise<T> {
    return this.#onItsOwn(null, async connection => {
      await waitForLock(connection)
      return work(new Kysely<Schema>({ dialect: singleConnectionDialect(connection) }))
    })
  }

  /** A connection of its own, on which the server limits nothing: an index of a large table takes its time. */
  async #onItsOwn<T>(limitMs: number | null, work: (connection: PooledClient) => Promise<T>): Promise<T> {
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
      // The lock ends with its connection.
      connection.release({ spoilt: true })
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.#readers[Symbol.asyncDispose](), this.#writers[Symbol.asyncDispose]()])
  }

  /**
   * When an earlier try may have been committed, this one writes even if it finds everything done: its own commit is
   * confirmed only when all earlier ones are as safe as it is.
   */
  #try<T>(work: (db: Db, again: boolean) => Promise<T>, again: boolean): Promise<T> {
    return this.#changes.transaction().execute(async db => {
      if (again) await probe(db)
      return work(db, again)
    })
  }
}

/** Which failures of one change are worth another try ([Note: lost answers] in database.ts). */
class Tries {
  /** True once one of them may have been committed. */
  again = false
  #count = 0
  #settleUntilMs = 0

  shallRepeat(error: unknown): boolean {
    if (!(error instanceof PostgresFailure)) return false
    this.#count += 1
    if (error.kind === 'unsettled' && !this.again) {
      this.again = true
      this.#settleUntilMs = performance.now() + SETTLE_MS
    }
    if (this.again) return performance.now() < this.#settleUntilMs
    return this.#count <= RETRIES && isWorthRetrying(error)
  }

  /** Longer each time, and different for each of those who meet. */
  pauseMs(): number {
    return Math.min(SETTLE_PAUSE_MS, RETRY_MS * 2 ** this.#count) * (0.5 + Math.random() / 2)
  }
}

/** Of nodes that start together, one changes the schema at a time. @throws unavailable when another takes too long */
async function waitForLock(connection: PooledClient): Promise<void> {
  const deadline = performance.now() + MIGRATION_WAIT_MS
  for (;;) {
    const { rows } = await connection.query({ text: `select pg_try_advisory_lock(${MIGRATION_LOCK}) as taken` })
    if ((rows as readonly { taken: boolean }[])[0]?.taken) return
    if (performance.now() > deadline) {
      throw new SealiftError('unavailable', 'Another node has been changing the schema of the records for minutes')
    }
    await pause(MIGRATION_POLL_MS)
  }
}

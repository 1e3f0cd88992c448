import type BetterSqlite3 from 'better-sqlite3'
import type { Kysely } from 'kysely'

import { SealiftError } from '../../../protocol/errors.ts'
import type { Schema } from '../schema.ts'
import { translateSqliteError } from './errors.ts'

/** Changes that share one commit at most: bounds how long the first of them waits. */
const BATCH_SIZE = 128

type Work<T> = (db: Kysely<Schema>) => Promise<T>

interface Job {
  readonly work: Work<unknown>
  resolve(value: unknown): void
  reject(error: unknown): void
}

/**
 * Runs changes one after the other on one SQLite connection. Those that wait while a commit is synced to disk share the
 * next one, each within its own savepoint: a hundred small uploads at once cost one sync, not a hundred. Nobody is
 * answered before the commit that holds their change is durable.
 */
export class GroupCommit {
  readonly #database: BetterSqlite3.Database
  readonly #db: Kysely<Schema>
  readonly #queue: Job[] = []
  #running: Promise<void> = Promise.resolve()
  #scheduled = false

  constructor(database: BetterSqlite3.Database, db: Kysely<Schema>) {
    this.#database = database
    this.#db = db
  }

  write<T>(work: Work<T>): Promise<T> {
    if (!this.#database.open) return Promise.reject(new SealiftError('unavailable', 'The record database was closed'))
    return new Promise<T>((resolve, reject) => {
      this.#queue.push({ work, resolve: value => resolve(value as T), reject })
      this.#schedule()
    })
  }

  /** Runs `work` between two batches, outside any transaction. */
  exclusively<T>(work: Work<T>): Promise<T> {
    const result = this.#running.then(() => work(this.#db))
    this.#running = settled(result)
    return result.catch((error: unknown) => {
      throw translateSqliteError(error)
    })
  }

  /** Resolves when everything asked for so far is done. */
  async idle(): Promise<void> {
    while (this.#scheduled) await this.#running
    await this.#running
  }

  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    this.#running = this.#running.then(nextTurn).then(() => this.#drain())
  }

  async #drain(): Promise<void> {
    while (this.#queue.length > 0) {
      await this.#commit(this.#queue.splice(0, BATCH_SIZE))
      await nextTurn()
    }
    this.#scheduled = false
  }

  async #commit(batch: readonly Job[]): Promise<void> {
    try {
      this.#database.exec('begin immediate')
      const settle: (() => void)[] = []
      for (const job of batch) settle.push(await this.#run(job))
      this.#database.exec('commit')
      for (const answer of settle) answer()
    } catch (error) {
      if (this.#database.inTransaction) this.#database.exec('rollback')
      const translated = translateSqliteError(error)
      for (const job of batch) job.reject(translated)
    }
  }

  /** @returns how to answer once the batch is durable. Throws when the database dropped the whole transaction. */
  async #run(job: Job): Promise<() => void> {
    this.#database.exec('savepoint job')
    try {
      const value = await job.work(this.#db)
      this.#database.exec('release job')
      return () => job.resolve(value)
    } catch (error) {
      if (!this.#database.inTransaction) throw error
      this.#database.exec('rollback to job')
      this.#database.exec('release job')
      return () => job.reject(translateSqliteError(error))
    }
  }
}

/** Lets messages that came meanwhile join the next batch. */
function nextTurn(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve))
}

function settled(promise: Promise<unknown>): Promise<void> {
  return promise.then(
    () => undefined,
    () => undefined,
  )
}

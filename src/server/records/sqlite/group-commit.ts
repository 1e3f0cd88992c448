import type BetterSqlite3 from 'better-sqlite3'
import type { Kysely } from 'kysely'

import { SealiftError } from '../../../protocol/errors.ts'
import type { Schema } from '../schema.ts'
import { translateSqliteError } from './failures.ts'

/** Most changes in one commit: bounds how long the first of them waits. */
const BATCH_SIZE = 128

type Work<T> = (db: Kysely<Schema>) => Promise<T>

interface Job {
  readonly work: Work<unknown>
  readonly signal: AbortSignal | undefined
  resolve(value: unknown): void
  reject(error: unknown): void
}

/**
 * Runs changes one after the other on one SQLite connection. Changes that wait while a commit is synced to disk share
 * the next commit, each within its own savepoint: a hundred small uploads at once cost one sync, not a hundred. A
 * change resolves when the commit that holds it is durable. A change whose signal aborts before its savepoint begins
 * is dropped.
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

  write<T>(work: Work<T>, signal?: AbortSignal): Promise<T> {
    if (!this.#database.open) return Promise.reject(new SealiftError('unavailable', 'The record database was closed'))
    return new Promise<T>((resolve, reject) => {
      this.#queue.push({ work, signal, resolve: value => resolve(value as T), reject })
      this.#schedule()
    })
  }

  /** Runs `work` between two batches, outside any transaction. */
  exclusively<T>(work: Work<T>, signal?: AbortSignal): Promise<T> {
    const result = this.#running.then(() => {
      signal?.throwIfAborted()
      return work(this.#db)
    })
    this.#running = settled(result)
    return result.catch((error: unknown) => {
      throw translateSqliteError(error)
    })
  }

  /** Resolves when the queue is empty. */
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
      for (const settleJob of settle) settleJob()
    } catch (error) {
      if (this.#database.inTransaction) this.#database.exec('rollback')
      const translated = translateSqliteError(error)
      for (const job of batch) job.reject(translated)
    }
  }

  /** @returns settles the job once the batch is durable. Throws when the database dropped the entire transaction. */
  async #run(job: Job): Promise<() => void> {
    if (job.signal?.aborted) return () => job.reject(job.signal?.reason)
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

/** Messages received meanwhile join the next batch. */
function nextTurn(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve))
}

function settled(promise: Promise<unknown>): Promise<void> {
  return promise.then(
    () => undefined,
    () => undefined,
  )
}

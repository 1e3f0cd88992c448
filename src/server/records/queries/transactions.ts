import type { Compilable, CompiledQuery, Kysely } from 'kysely'

import { raceAbort } from '../../../common/abort-race.ts'
import type { SqlDialect } from '../migrations.ts'
import type { Schema } from '../schema.ts'

/**
 * What the record store needs of a database.
 *
 * [Note: row locks] On SQLite, changes run one after the other, so nothing needs a lock, and `forUpdate` and
 * `forShare` are left out of the SQL. On PostgreSQL changes run concurrently, and each statement sees what was
 * committed before it (read committed). So a transaction locks the rows that it decides upon, then reads them. Locks
 * are taken in one order, which excludes deadlocks: idempotency key, parcels, blobs, leases, clients, each ascending
 * by id. The forward advisory lock comes before blobs ([Note: forward advisory lock] in locks.ts). Rows that no other
 * transaction can know need no lock.
 *
 * [Note: unknown commits] If the connection breaks while a commit is in flight, its outcome is unknown. The work then
 * runs once more with `again`, and first looks, under its locks, for the ids that it was given: if they exist, the
 * first commit succeeded. Work that changes nothing when repeated needs no look.
 */
export interface RecordDatabase extends AsyncDisposable {
  readonly dialect: SqlDialect
  /** Sees only what is durable. */
  readonly read: Db
  /**
   * One transaction, durable when it resolves; rolled back when `work` rejects. `work` may run more than once. An abort
   * before `work` begins rejects; a later one changes nothing.
   */
  write<T>(work: (db: Db, again: boolean) => Promise<T>, signal?: AbortSignal): Promise<T>
  /** All queries of `work` see one snapshot. `work` changes nothing. */
  snapshot<T>(work: (db: Db) => Promise<T>, signal?: AbortSignal): Promise<T>
  /** Runs on a connection outside any transaction, on one node at a time: for migrations. */
  exclusively<T>(work: (db: Db) => Promise<T>, signal?: AbortSignal): Promise<T>
}

/** Inside a transaction, or reading. */
export type Db = Kysely<Schema>

/** A read whose caller may stop waiting for it; the query itself runs to its end. */
export function abandonable<T>(reading: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  return signal ? raceAbort(reading, signal) : reading
}

/**
 * A query that is compiled once, not for each call: for the hot path of every download.
 * `build` gets a placeholder for each parameter; the parameters come in the order in which they appear in the text.
 */
export function prepared<Row>(
  db: Db,
  build: () => Compilable<Row>,
): (...parameters: readonly (string | number)[]) => Promise<readonly Row[]> {
  let compiled: CompiledQuery<Row> | undefined
  return async (...parameters) => {
    compiled ??= build().compile()
    const { rows } = await db.executeQuery<Row>({ ...compiled, parameters })
    return rows
  }
}

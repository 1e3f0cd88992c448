import type { Compilable, CompiledQuery, Kysely } from 'kysely'

import type { SqlDialect } from '../migrations.ts'
import type { Schema } from '../schema.ts'

/**
 * What the record store needs of a database.
 *
 * [Note: row locks] On SQLite, changes run one after the other, so nothing needs a lock, and `forUpdate` and `forShare` are left
 * out of what is asked. On PostgreSQL they run at once, each statement seeing what is committed by then (read committed). So
 * whatever is decided upon is locked first, and read under the lock. Locks are taken in one order, so that nobody waits
 * in a circle: idempotency key, then parcels, then blobs, then leases, then clients, each of them ascending by id. Before
 * blobs that forwards may keep comes a turnstile ([Note: turnstile] in turnstile.ts).
 * Rows that nobody else knows yet need none.
 *
 * [Note: lost answers] The connection may break while a commit is on its way, and then nobody knows whether it went
 * through. The work is then done once more with `again`, and must look first, under its locks, for what it made: the
 * ids that it was given are the proof. What changes nothing when repeated needs no look.
 */
export interface RecordDatabase extends AsyncDisposable {
  readonly dialect: SqlDialect
  /** Sees only what is durable. */
  readonly read: Kysely<Schema>
  /** One transaction, durable when it resolves; rolled back when `work` rejects. `work` may run more than once. */
  write<T>(work: (db: Kysely<Schema>, again: boolean) => Promise<T>): Promise<T>
  /** Every question of `work` sees the same moment. It changes nothing. */
  snapshot<T>(work: (db: Kysely<Schema>) => Promise<T>): Promise<T>
  /** Runs on a connection outside any transaction, alone among all nodes: for migrations. */
  exclusively<T>(work: (db: Kysely<Schema>) => Promise<T>): Promise<T>
}

/** Inside a transaction, or reading. */
export type Db = Kysely<Schema>

/**
 * A question that is compiled once, not each time it is asked: the hot path of every download.
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

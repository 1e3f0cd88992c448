import type { Compilable, CompiledQuery } from 'kysely'

import type { Db } from './database.ts'

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

import type { Row, RowResult } from '../context.ts'

/** A row that cannot be measured here: nothing but the reason. */
export function leftOut({ name, title }: Row, reason: string): RowResult {
  return { row: name, title, unit: '', subjects: [], aims: [], notes: [`Left out: ${reason}.`] }
}

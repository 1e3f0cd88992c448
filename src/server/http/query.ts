import type { z } from 'zod'

import { SealiftError } from '../../protocol/errors.ts'
import type { Exchange } from './exchange.ts'
import { checkShape } from './json-body.ts'

/** The query of a request; values that look like numbers are numbers, but `kind`. @throws invalid_request */
export function queryOf<Schema extends z.ZodType>({ query }: Exchange, schema: Schema): z.output<Schema> {
  const asked: [string, unknown][] = []
  for (const [name, value] of new URLSearchParams(query)) {
    if (asked.some(([known]) => known === name))
      throw new SealiftError('invalid_request', 'A query parameter is doubled')
    asked.push([name, name !== 'kind' && /^\d{1,15}$/.test(value) ? Number(value) : value])
  }
  return checkShape(schema, Object.fromEntries(asked))
}

import type { z } from 'zod'

import { SealiftError } from '../../protocol/errors.ts'
import type { Exchange } from './exchange.ts'
import { checkShape } from './json-body.ts'

/** No route has more than a few. */
const MAX_PARAMETERS = 16

/** The query of a request; values that look like numbers are numbers, but `kind`. @throws invalid_request */
export function queryOf<Schema extends z.ZodType>({ query }: Exchange, schema: Schema): z.output<Schema> {
  const asked = new Map<string, unknown>()
  for (const [name, value] of new URLSearchParams(query)) {
    if (asked.has(name)) throw new SealiftError('invalid_request', 'A query parameter is doubled')
    if (asked.size === MAX_PARAMETERS) {
      throw new SealiftError('invalid_request', `Send at most ${MAX_PARAMETERS} query parameters`)
    }
    asked.set(name, name !== 'kind' && /^\d{1,15}$/.test(value) ? Number(value) : value)
  }
  return checkShape(schema, Object.fromEntries(asked))
}

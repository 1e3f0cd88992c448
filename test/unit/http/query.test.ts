import { describe, expect, test } from 'vitest'
import { z } from 'zod'

import { queryOf } from '../../../src/server/http/json-body.ts'
import type { Exchange } from '../../../src/server/http/exchange.ts'

const anything = z.record(z.string(), z.unknown())
const parse = (query: string) => queryOf({ query } as Exchange, anything)
const parameters = (count: number) => Array.from({ length: count }, (_, at) => `p${at}=${at}`).join('&')

describe('the query of a request', () => {
  test('has numbers where values look like numbers, but for `kind`', () => {
    expect(parse('a=1&b=x&kind=7&c=')).toEqual({ a: 1, b: 'x', kind: '7', c: '' })
  })

  test('names each parameter once', () => {
    expect(() => parse('a=1&b=2&a=1')).toThrow(/twice/)
  })

  test('threat 44: has a bounded number of parameters, and those beyond it are not looked at', () => {
    expect(Object.keys(parse(parameters(16)))).toHaveLength(16)
    expect(() => parse(parameters(17))).toThrow(/at most 16/)
    expect(() => parse(`${parameters(17)}&p0=again`)).toThrow(/at most 16/)
  })
})

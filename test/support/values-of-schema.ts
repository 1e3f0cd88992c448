import * as fc from 'fast-check'
import * as z from 'zod'

/** As `z.toJSONSchema` writes it. */
interface JsonSchema {
  readonly type?: string
  readonly enum?: readonly string[]
  readonly const?: unknown
  readonly pattern?: string
  readonly format?: string
  readonly minimum?: number
  readonly maximum?: number
  readonly minLength?: number
  readonly maxLength?: number
  readonly minItems?: number
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly required?: readonly string[]
  readonly propertyNames?: JsonSchema
  readonly additionalProperties?: JsonSchema | false
  readonly items?: JsonSchema | false
  readonly prefixItems?: readonly JsonSchema[]
  readonly oneOf?: readonly JsonSchema[]
}

/** Long enough for several elements, far below what a schema allows. */
const MAX_ELEMENTS = 4
const MAX_CHARACTERS = 40

/** What JSON can hold and a schema may not expect. */
const HOSTILE: readonly unknown[] = [
  null,
  true,
  false,
  '',
  ' ',
  'x',
  'complete',
  '\u{1f600}',
  '\u{1f600}'.repeat(128),
  '\u{1f600}'.repeat(256),
  '\ud83d'.repeat(129),
  'a'.repeat(5000),
  '2026-02-30T00:00:00Z',
  '2024-02-29T23:59:59.123456789Z',
  '2026-01-01T00:00Z',
  '2026-01-01T00:00:00+01:00',
  '2026-01-01T24:00:00Z',
  ' https://store.example/a b ',
  'https://exa\nmple.com/\t',
  'http:example.com',
  '//example.com',
  'javascript:alert(1)',
  0,
  -0,
  -1,
  0.1,
  1.5,
  2 ** 31,
  2 ** 53 - 1,
  2 ** 53,
  -(2 ** 53),
  1e308,
  5e-324,
  Number.NaN,
  Infinity,
  [],
  [[]],
  [0],
  [0, 1, 2, 3],
  {},
  { length: 2 },
  { state: 'complete' },
  { state: 'sending' },
  JSON.parse('{"__proto__": {"state": "complete"}}'),
  JSON.parse('{"constructor": 1, "toString": 2, "hasOwnProperty": 3}'),
]

/** Values that a schema accepts, and some that it does not: patterns and lengths are combined. */
export function valuesOf(schema: z.ZodType): fc.Arbitrary<unknown> {
  return ofJsonSchema(z.toJSONSchema(schema, { io: 'input' }) as JsonSchema)
}

/** Values of a schema with up to three changes, anywhere in them. */
export function alteredValuesOf(schema: z.ZodType): fc.Arbitrary<unknown> {
  const change = fc.record({
    at: fc.nat(),
    how: fc.constantFrom('replace', 'remove', 'add', 'repeat'),
    key: fc.constantFrom('__proto__', 'toString', 'state', 'media', 'unknown', ''),
    value: hostileValue(),
  })
  return fc
    .tuple(valuesOf(schema), fc.array(change, { minLength: 1, maxLength: 3 }))
    .map(([value, changes]) => changes.reduce<unknown>(altered, structuredClone(value)))
}

/** Anything that JSON can hold. */
export function hostileValue(): fc.Arbitrary<unknown> {
  return fc.oneof(fc.constantFrom(...HOSTILE), fc.jsonValue())
}

function ofJsonSchema(schema: JsonSchema): fc.Arbitrary<unknown> {
  if (schema.oneOf) return fc.oneof(...schema.oneOf.map(ofJsonSchema))
  if (schema.enum) return fc.constantFrom(...schema.enum)
  if (schema.const !== undefined) return fc.constant(schema.const)
  switch (schema.type) {
    case 'string':
      return ofText(schema)
    case 'integer':
      return ofNumber(schema, (min, max) => fc.integer({ min, max }))
    case 'number':
      return ofNumber(schema, (min, max) => fc.double({ min, max, noNaN: true }))
    case 'boolean':
      return fc.boolean()
    case 'array':
      return ofArray(schema)
    case 'object':
      return ofObject(schema)
    case undefined:
    default:
      return hostileValue()
  }
}

function ofText({ format, pattern, minLength = 0, maxLength = MAX_CHARACTERS }: JsonSchema): fc.Arbitrary<string> {
  if (format === 'date-time') {
    const dates = fc.date({ noInvalidDate: true, min: new Date(0), max: new Date('9999-12-31') })
    return dates.map(date => date.toISOString())
  }
  if (format === 'uri') return fc.webUrl({ withQueryParameters: true })
  if (pattern !== undefined) return fc.stringMatching(new RegExp(pattern))
  return fc.string({ minLength, maxLength: Math.min(maxLength, minLength + MAX_CHARACTERS), unit: 'binary' })
}

function ofNumber(
  { minimum = Number.MIN_SAFE_INTEGER, maximum = Number.MAX_SAFE_INTEGER }: JsonSchema,
  between: (min: number, max: number) => fc.Arbitrary<number>,
): fc.Arbitrary<number> {
  return fc.oneof(fc.constantFrom(minimum, maximum), between(minimum, maximum))
}

function ofArray({ items, prefixItems, minItems = 0 }: JsonSchema): fc.Arbitrary<unknown> {
  if (prefixItems) return fc.tuple(...prefixItems.map(ofJsonSchema))
  return fc.array(ofJsonSchema(items || {}), { minLength: minItems, maxLength: minItems + MAX_ELEMENTS })
}

function ofObject(schema: JsonSchema): fc.Arbitrary<unknown> {
  const { properties, required = [], propertyNames, additionalProperties } = schema
  if (properties) {
    const fields = Object.fromEntries(Object.entries(properties).map(([name, each]) => [name, ofJsonSchema(each)]))
    const known = fc.record(fields, { requiredKeys: [...required] })
    if (!additionalProperties) return known
    return fc.tuple(fc.dictionary(fc.string(), fc.jsonValue(), { maxKeys: 2 }), known).map(([rest, own]) => ({
      ...rest,
      ...own,
    }))
  }
  const value = ofJsonSchema(additionalProperties || {})
  const names = propertyNames?.enum
  if (names) return fc.record(Object.fromEntries(names.map(name => [name, value])))
  return fc.dictionary(fc.string(), value, { maxKeys: MAX_ELEMENTS })
}

interface Change {
  readonly at: number
  readonly how: string
  readonly key: string
  readonly value: unknown
}

/** Every array and object in a value, and every place in these. */
function altered(value: unknown, { value: given, ...change }: Change): unknown {
  // Values are shared between runs.
  const put = structuredClone(given)
  const places: [holder: Record<string, unknown> | unknown[], key: string][] = []
  const collect = (each: unknown): void => {
    if (typeof each !== 'object' || each === null) return
    const holder = each as Record<string, unknown>
    for (const key of Object.keys(holder)) {
      places.push([holder, key])
      collect(holder[key])
    }
  }
  collect(value)
  const [holder, key] = places[change.at % (places.length || 1)] ?? []
  if (!holder || key === undefined) return put
  const fields = holder as Record<string, unknown>
  if (change.how === 'replace') set(fields, key, put)
  else if (Array.isArray(holder)) {
    if (change.how === 'remove') holder.splice(Number(key), 1)
    else holder.push(change.how === 'repeat' ? holder[Number(key)] : put)
  } else if (change.how === 'remove') delete fields[key]
  else if (change.how === 'add') set(fields, change.key, put)
  else set(fields, key, [fields[key], fields[key]])
  return value
}

/** As `JSON.parse` does it, for `__proto__` too. */
function set(holder: Record<string, unknown>, key: string, value: unknown): void {
  Object.defineProperty(holder, key, { value, enumerable: true, configurable: true, writable: true })
}

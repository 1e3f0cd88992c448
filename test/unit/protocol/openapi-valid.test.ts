import { Validator } from '@seriousme/openapi-schema-validator'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { describe, expect, test } from 'vitest'

import { REQUEST_HEADERS } from '../../../src/protocol/header-schemas.ts'
import { parseContentDigest } from '../../../src/protocol/headers.ts'
import { LINKS } from '../../../src/protocol/links.ts'
import { openapiDocument } from '../../../src/protocol/openapi.ts'
import { ROUTES, type Route, type RouteName } from '../../../src/protocol/routes.ts'

interface Parameter {
  readonly name: string
  readonly in: string
  readonly schema: object
  readonly example?: unknown
}

interface Operation {
  readonly operationId: RouteName
  readonly parameters: readonly Parameter[]
  readonly responses: Readonly<Record<string, { readonly links?: Readonly<Record<string, LinkObject>> }>>
}

interface LinkObject {
  readonly operationId: RouteName
  readonly parameters: Readonly<Record<string, unknown>>
}

const document = openapiDocument({ version: '1.2.3', serverUrl: 'https://media.example' })
const operations = Object.values(document['paths'] as Record<string, Record<string, Operation>>).flatMap(methods =>
  Object.values(methods),
)
const operationOf = (name: RouteName) => operations.find(({ operationId }) => operationId === name)

/** Every Schema Object of the document, wherever it stands. */
function* schemasIn(value: unknown, key = ''): Generator<object> {
  if (typeof value !== 'object' || value === null) return
  if (key === 'schema') yield value
  if (key === 'schemas') yield* Object.values(value as Record<string, object>)
  for (const [name, inner] of Object.entries(value)) yield* schemasIn(inner, name)
}

/** Names of formats say what a text is; whether it is that, they leave to the pattern. */
const ajv = new Ajv2020({ strict: true, strictTypes: false, strictRequired: false, validateFormats: false })
ajv.addVocabulary(['example', 'components'])
ajv.addSchema({ $id: 'contract', components: document['components'] })
const compile = (schema: object) =>
  ajv.compile(JSON.parse(JSON.stringify(schema).replaceAll('"#/components', '"contract#/components')) as object)

describe('the OpenAPI document', () => {
  test('is valid OpenAPI 3.1', async () => {
    const validator = new Validator()
    const result = await validator.validate(structuredClone(document))
    expect(result.errors ?? []).toEqual([])
    expect(result.valid).toBe(true)
    expect(validator.version).toBe('3.1')
  })

  test('holds no schema that JSON Schema 2020-12 does not know', () => {
    const schemas = [...schemasIn(document)]
    expect(schemas.length).toBeGreaterThan(100)
    for (const schema of schemas) expect(() => compile(schema), JSON.stringify(schema).slice(0, 200)).not.toThrow()
    expect(JSON.stringify(schemas)).not.toContain('"items":[')
  })

  test('a run of parts is two indices', () => {
    const status = compile({ $ref: '#/components/schemas/UploadStatus/properties/parts' })
    expect(status([[0, 4], [6, 6]])).toBe(true) // prettier-ignore
    for (const wrong of [[[0]], [[0, 1, 2]], [[-1, 2]], [['0', '1']], [0, 1]]) expect(status(wrong)).toBe(false)
  })

  test('gives each header the same schema wherever it stands, and an example that holds', () => {
    for (const { parameters } of operations) {
      for (const { name, in: place, schema, example } of parameters) {
        if (place !== 'header') continue
        expect(Object.keys(REQUEST_HEADERS)).toContain(name)
        expect(compile(schema)(example), name).toBe(true)
      }
    }
  })

  test.each([
    ['Sealift-Owner', '', 'x'.repeat(21), 'x'.repeat(129), `${'x'.repeat(30)}=`],
    ['Idempotency-Key', '', 'two words', 'x'.repeat(129), 'é'],
    ['If-Match', '', '*', '3', 'W/"3"', '"0"', '"3", "4"', '"x"'],
    ['Content-Digest', '', '0', 'md5=:AAAA:', `sha-256=:${'A'.repeat(42)}B=:`, `sha-256=:${'A'.repeat(43)}:`],
  ])('%s is refused by its schema where the server refuses it', (name, ...refused) => {
    const valid = compile(operations.flatMap(it => it.parameters).find(it => it.name === name)?.schema ?? {})
    for (const value of refused) expect(valid(value), value).toBe(false)
  })

  test('takes a digest beside others, as the server does', () => {
    const sha256 = `sha-256=:${'A'.repeat(43)}=:`
    for (const header of [sha256, `md5=:AAAA:, ${sha256}`, `${sha256}, sha-512=:AAAA:`, `a=:b:,\t${sha256} ,c=:d:`]) {
      expect(parseContentDigest(header), header).toBe(`${'A'.repeat(43)}=`)
    }
    expect(parseContentDigest(`sha-256=:${'A'.repeat(42)}B=:`)).toBeNull()
  })

  test('links go from what exists to what exists', () => {
    for (const [name, byStatus] of Object.entries(LINKS)) {
      const route: Route = ROUTES[name as RouteName]
      for (const status of Object.keys(byStatus)) expect(route.responses.map(it => String(it.status))).toContain(status)
    }
    for (const { responses } of operations) {
      for (const link of Object.values(responses).flatMap(({ links = {} }) => Object.values(links))) {
        const names = operationOf(link.operationId)?.parameters.map(it => it.name) ?? []
        for (const parameter of Object.keys(link.parameters)) expect(names).toContain(parameter)
      }
    }
  })

  test.each([
    ['an upload, from begin to read', ['beginUpload', 'putPart', 'completeUpload', 'readMedia']],
    ['a parcel, from publish to end', ['publishParcel', 'readParcel', 'readParcel']],
    ['the next version of a parcel', ['publishParcel', 'replaceManifest', 'endParcel']],
    ['a direct part', ['beginUpload', 'directPart', 'confirmPart', 'completeUpload']],
  ] as const)('links lead through %s', (_, path) => {
    for (const [position, name] of path.slice(0, -1).entries()) {
      const next = Object.values(LINKS[name] ?? {}).flatMap(links => links.map(({ to }) => to))
      expect(next, name).toContain(path[position + 1])
    }
  })
})

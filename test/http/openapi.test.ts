import request from 'supertest'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { WIRE_ERRORS, type WireErrorCode } from '../../src/protocol/errors.ts'
import { errorsOf } from '../../src/protocol/openapi.ts'
import { ROUTES, type RouteName } from '../../src/protocol/routes.ts'
import { startTestServer, type TestServer } from '../support/test-server.ts'

interface Operation {
  readonly operationId: string
  readonly parameters: readonly { readonly name: string; readonly in: string; readonly required: boolean }[]
  readonly responses: Readonly<
    Record<string, { readonly description: string; readonly content?: Record<string, unknown> }>
  >
  readonly requestBody?: { readonly content: Record<string, { readonly schema?: unknown }> }
}

interface Document {
  readonly openapi: string
  readonly info: { readonly title: string; readonly version: string }
  readonly servers?: readonly { readonly url: string }[]
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
  readonly components: { readonly schemas: Readonly<Record<string, unknown>> }
}

const NAMES = Object.keys(ROUTES) as RouteName[]

let server: TestServer
let document: Document

beforeAll(async () => {
  server = await startTestServer({
    listen: { publicUrl: 'https://media.example/sealift' },
    access: { openMode: 'off' },
  })
  document = (await request(server.url).get('/openapi.json').expect(200)).body as Document
})
afterAll(() => server.stop())

function operationOf(name: RouteName): Operation | undefined {
  return document.paths[ROUTES[name].path]?.[ROUTES[name].method.toLowerCase()]
}

describe('the OpenAPI document', () => {
  test('is of version 3.1 and names the server by its configured address alone', () => {
    expect(document.openapi).toBe('3.1.0')
    expect(document.info).toMatchObject({
      title: 'Sealift',
      version: expect.stringMatching(/^\d+\.\d+\.\d+/) as string,
    })
    expect(document.servers).toEqual([{ url: 'https://media.example/sealift' }])
  })

  test('has one operation for each route, and no other', () => {
    const operations = Object.values(document.paths).flatMap(methods => Object.values(methods))
    expect(operations.map(({ operationId }) => operationId).toSorted()).toEqual(NAMES.toSorted())
  })

  test.each(NAMES)('describes %s: its parameters, its body and every status it may return', name => {
    const operation = operationOf(name)
    const inPath = [...ROUTES[name].path.matchAll(/\{(\w+)\}/g)].map(([, parameter]) => parameter)
    expect(operation?.parameters.filter(it => it.in === 'path').map(it => it.name)).toEqual(inPath)
    expect(operation?.requestBody !== undefined).toBe('json' in ROUTES[name] || 'streams' in ROUTES[name])
    const statuses = [
      ...ROUTES[name].responses.map(({ status }) => status),
      ...errorsOf(name).map((code: WireErrorCode) => WIRE_ERRORS[code].status),
    ]
    for (const status of statuses) expect(operation?.responses[String(status)]?.description).toBeTruthy()
  })

  test('refers to nothing that is not in it', () => {
    const references = [...JSON.stringify(document).matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g)]
    expect(references.length).toBeGreaterThan(20)
    for (const [, name = ''] of references) expect(document.components.schemas).toHaveProperty(name)
  })

  test('gives each schema a type and a description', () => {
    for (const [name, schema] of Object.entries(document.components.schemas)) {
      expect(schema, name).toMatchObject({ type: 'object' })
    }
    expect(document.components.schemas['BeginUploadRequest']).toMatchObject({ additionalProperties: false })
  })
})

describe('what the document says of JSON routes is so', () => {
  test('a request without a body is refused as described', async () => {
    for (const name of NAMES) {
      if (!('json' in ROUTES[name]) || !('post' in (document.paths[ROUTES[name].path] ?? {}))) continue
      const path = ROUTES[name].path.replaceAll(/\{\w+\}/g, 'a'.repeat(26))
      const response = await request(server.url).post(path)
      expect(Object.keys(operationOf(name)?.responses ?? {})).toContain(String(response.status))
      expect(response.type).toBe('application/problem+json')
    }
  })

  test('other methods are refused, naming those that are taken', async () => {
    for (const path of Object.keys(document.paths)) {
      const filled = path.replaceAll(/\{\w+\}/g, 'a'.repeat(26))
      const response = await request(server.url).patch(filled).expect(405)
      const methods = Object.keys(document.paths[path] ?? {}).map(method => method.toUpperCase())
      expect(response.get('allow')?.split(', ')).toEqual(expect.arrayContaining(methods))
      expect(response.body).toMatchObject({ code: 'method_not_allowed', status: 405 })
    }
  })

  test('anything else is not there', async () => {
    for (const path of ['/', '/v1', '/v1/media/a/b/c', '/metrics', '/admin', '/docs']) {
      const response = await request(server.url).get(path).expect(404)
      expect(response.body).toMatchObject({ code: 'not_found', status: 404 })
    }
  })
})

/** OpenAPI 3.1, made from the route table and the schemas that check every request: it cannot say anything else. */
import * as z from 'zod'

import { WIRE_ERRORS, type WireErrorCode } from './errors.ts'
import { PROBLEM_HEADERS, REQUEST_HEADERS, RESPONSE_HEADERS } from './header-schemas.ts'
import { OCTET_STREAM, PROBLEM_JSON } from './headers.ts'
import { ID_PATTERN, MAX_PART_INDEX } from './ids.ts'
import { LINKS } from './links.ts'
import { COMMON_ERRORS, ROUTES, type Access, type Route, type RouteResponse, type RouteName } from './routes.ts'
import * as schemas from './schemas.ts'

type Json = { readonly [key: string]: unknown }

const SCHEMAS: ReadonlyMap<z.ZodType, string> = new Map<z.ZodType, string>([
  [schemas.beginUploadRequest, 'BeginUploadRequest'],
  [schemas.uploadBegun, 'UploadBegun'],
  [schemas.uploadStatus, 'UploadStatus'],
  [schemas.completeUploadRequest, 'CompleteUploadRequest'],
  [schemas.media, 'Media'],
  [schemas.leaseRequest, 'LeaseRequest'],
  [schemas.problem, 'Problem'],
  [schemas.formResult, 'FormResult'],
  [schemas.publishParcelRequest, 'PublishParcelRequest'],
  [schemas.replaceManifestRequest, 'ReplaceManifestRequest'],
  [schemas.parcel, 'Parcel'],
  [schemas.limits, 'Limits'],
  [schemas.health, 'Health'],
])

const ACCESS: Readonly<Record<Access, string>> = {
  public: 'Anyone, at any rate.',
  anyone: 'Anyone, within the request rate of the client or address.',
  client: 'A client: a bearer token, or open mode.',
  uploader: 'The client that began the upload; in open mode any client with its secret id.',
  reader: 'Any client with the unguessable id; with a token, if the operator requires it.',
  owner: 'The client that made it, or the holder of its owner secret (`Sealift-Owner`).',
}

/** Every code that a route may return, the common ones included. */
export function errorsOf(name: RouteName): readonly WireErrorCode[] {
  const route: Route = ROUTES[name]
  if (route.access === 'public') return ['invalid_request', 'headers_too_large', 'internal']
  const body = route.json ? (['too_large', 'stalled'] as const) : []
  return [...new Set<WireErrorCode>([...COMMON_ERRORS, ...body, ...route.errors])]
}

export function openapiDocument({ version, serverUrl }: { version: string; serverUrl: string | null }): Json {
  const names = Object.keys(ROUTES) as RouteName[]
  const paths: Record<string, Record<string, Json>> = {}
  for (const name of names) {
    const { path, method } = ROUTES[name]
    paths[path] = { ...paths[path], [method.toLowerCase()]: operation(name) }
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Sealift',
      version,
      summary: 'Moves sealed media for end-to-end encrypted apps; reads none of it.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    ...(serverUrl === null ? {} : { servers: [{ url: serverUrl }] }),
    paths,
    components: {
      schemas: Object.fromEntries([...SCHEMAS].map(([schema, name]) => [name, jsonSchema(schema)])),
      securitySchemes: { bearer: { type: 'http', scheme: 'bearer' } },
    },
  }
}

function operation(name: RouteName): Json {
  const route: Route = ROUTES[name]
  return {
    operationId: name,
    summary: route.summary,
    description: ACCESS[route.access],
    ...(route.access === 'public' ? {} : { security: [{}, { bearer: [] }] }),
    parameters: parameters(route),
    ...requestBody(route),
    responses: { ...successes(name), ...problems(name) },
  }
}

function parameters(route: Route): Json[] {
  const inPath = [...route.path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => ({
    name,
    in: 'path',
    required: true,
    schema: name === 'index' ? PART_INDEX : { type: 'string', pattern: ID_PATTERN.source },
  }))
  const inQuery = Object.entries(route.query?.shape ?? {}).map(([name, schema]) => ({
    name,
    in: 'query',
    required: false,
    schema: jsonSchema(schema as z.ZodType),
  }))
  // OpenAPI describes Content-Length and Authorization by other means.
  const inHeader = (route.headers ?? []).filter(name => name !== 'Content-Length')
  return [...inPath, ...inQuery, ...inHeader.map(headerParameter)]
}

const PART_INDEX = { type: 'integer', minimum: 0, maximum: MAX_PART_INDEX }

function headerParameter(name: string): Json {
  const { schema, description, required = false, example } = known(REQUEST_HEADERS, name)
  return { name, in: 'header', required, description, schema: jsonSchema(schema), example }
}

function responseHeaders(names: readonly string[]): Json {
  return Object.fromEntries(
    ['Sealift-Request-Id', ...names].map(name => {
      const { schema, description, optional = false } = known(RESPONSE_HEADERS, name)
      return [name, { description, required: !optional, schema: jsonSchema(schema) }]
    }),
  )
}

/** A header that a route names is in the table, or the document cannot be made. */
function known<T>(table: Readonly<Record<string, T>>, name: string): T {
  const entry = table[name]
  if (entry === undefined) throw new Error(`The header ${name} is in no table of header-schemas.ts`)
  return entry
}

const FILE = { type: 'string', format: 'binary', contentMediaType: OCTET_STREAM }
/** Any bytes, but not none. */
const BYTES = { schema: { ...FILE, minLength: 1 } }
/** Names travel in headers, so they hold no control characters. */
const FORM = {
  schema: {
    type: 'object',
    propertyNames: { pattern: '^[^\\x00-\\x1f\\x7f]*$' },
    properties: Object.fromEntries(schemas.KINDS.map(kind => [kind, FILE])),
    anyOf: schemas.KINDS.map(kind => ({ required: [kind] })),
    description:
      'At least one file, each under the name of its kind; a field may come several times, and one that is no file is ignored',
  },
}

function requestBody(route: Route): Json {
  if (!route.json && !route.streams) return {}
  const streams = (route.streams ?? []).map(type => [type, type === OCTET_STREAM ? BYTES : FORM])
  const content = { ...Object.fromEntries(streams), ...(route.json ? jsonRequest(route, route.json) : {}) }
  return { requestBody: { required: true, content } }
}

function jsonRequest({ jsonDeprecated }: Route, schema: z.ZodType): Json {
  if (!jsonDeprecated) return jsonContent(schema)
  return { 'application/json': { schema: { allOf: [reference(schema)], deprecated: true } } }
}

function successes(name: RouteName): Json {
  const route: Route = ROUTES[name]
  return Object.fromEntries(route.responses.map(each => [String(each.status), response(name, each)]))
}

function response(name: RouteName, { status, description, headers = [], json, bytes }: RouteResponse): Json {
  const links = LINKS[name]?.[status]
  return {
    description,
    headers: responseHeaders(headers),
    ...(json ? { content: jsonContent(json) } : {}),
    ...(bytes ? { content: { [OCTET_STREAM]: {} } } : {}),
    ...(links ? { links: Object.fromEntries(links.map(({ to, ...link }) => [to, { operationId: to, ...link }])) } : {}),
  }
}

/** Codes of one status share a response; a status that is also a success (503 of readyz) stays one. */
function problems(name: RouteName): Json {
  const codes = errorsOf(name)
  const good = new Set<number>(ROUTES[name].responses.map(({ status }) => status))
  const statuses = [...new Set(codes.map(code => WIRE_ERRORS[code].status))].filter(status => !good.has(status))
  // A response to HEAD has no body.
  const content =
    ROUTES[name].method === 'HEAD' ? {} : { content: { [PROBLEM_JSON]: { schema: reference(schemas.problem) } } }
  return Object.fromEntries(
    statuses
      .toSorted((one, other) => one - other)
      .map(status => [
        String(status),
        {
          description: codes
            .filter(code => WIRE_ERRORS[code].status === status)
            .map(code => `\`${code}\`: ${WIRE_ERRORS[code].title}`)
            .join('; '),
          headers: responseHeaders(PROBLEM_HEADERS[status] ?? []),
          ...content,
        },
      ]),
  )
}

function jsonContent(schema: z.ZodType): Json {
  return { 'application/json': { schema: reference(schema) } }
}

function reference(schema: z.ZodType): Json {
  const name = SCHEMAS.get(schema)
  return name === undefined ? jsonSchema(schema) : { $ref: `#/components/schemas/${name}` }
}

function jsonSchema(schema: z.ZodType): Json {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io: 'input', override: simplifyTuple })
  return rest
}

/** A tuple of equals is a list of fixed length: it says the same, also to generators that know no `prefixItems`. */
function simplifyTuple({ jsonSchema: made }: { jsonSchema: z.core.JSONSchema.BaseSchema }): void {
  const { prefixItems } = made
  if (!prefixItems || new Set(prefixItems.map(item => JSON.stringify(item))).size !== 1) return
  const [item] = prefixItems
  delete made.prefixItems
  if (item !== undefined) made.items = item
}

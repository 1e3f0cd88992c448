/** OpenAPI 3.1, made from the route table and the schemas that check every request: it cannot say anything else. */
import * as z from 'zod'

import { WIRE_ERRORS, type WireErrorCode } from './errors.ts'
import { OCTET_STREAM, PROBLEM_JSON } from './headers.ts'
import { COMMON_ERRORS, ROUTES, type Access, type Route, type RouteAnswer, type RouteName } from './routes.ts'
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
  public: 'Anyone.',
  client: 'A client: a bearer token, or open mode.',
  uploader: 'The client that began the upload; in open mode whoever knows its secret id.',
  reader: 'Whoever knows the unguessable id; where the operator wants it, with a token.',
  owner: 'The client that made it, or the holder of its owner secret (`Sealift-Owner`).',
}

/** Every code a route may answer with, the common ones included. */
export function errorsOf(name: RouteName): readonly WireErrorCode[] {
  const route: Route = ROUTES[name]
  if (route.access === 'public') return ['invalid_request', 'internal']
  const body = route.json ? (['too_large', 'unsupported_media_type', 'stalled'] as const) : []
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
    responses: { ...answers(route), ...problems(name) },
  }
}

function parameters(route: Route): Json[] {
  const inPath = [...route.path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => ({
    name,
    in: 'path',
    required: true,
    schema: name === 'index' ? { type: 'integer', minimum: 0 } : { type: 'string', pattern: '^[a-z2-7]{26}$' },
  }))
  const inQuery = Object.entries(route.query?.shape ?? {}).map(([name, schema]) => ({
    name,
    in: 'query',
    required: false,
    schema: jsonSchema(schema as z.ZodType),
  }))
  // OpenAPI describes Content-Length and Authorization by other means.
  const inHeader = (route.headers ?? []).filter(name => name !== 'Content-Length')
  return [
    ...inPath,
    ...inQuery,
    ...inHeader.map(name => ({ name, in: 'header', required: name === 'If-Match', schema: { type: 'string' } })),
  ]
}

function requestBody(route: Route): Json {
  if (route.json) return { requestBody: { required: true, content: jsonContent(route.json) } }
  if (!route.streams) return {}
  const content = route.streams.map(type => [type, type === OCTET_STREAM ? {} : { schema: { type: 'object' } }])
  return { requestBody: { required: true, content: Object.fromEntries(content) } }
}

function answers(route: Route): Json {
  return Object.fromEntries(route.answers.map(answer => [String(answer.status), response(answer)]))
}

function response({ description, headers, json, bytes }: RouteAnswer): Json {
  return {
    description,
    ...(headers ? { headers: Object.fromEntries(headers.map(name => [name, { schema: { type: 'string' } }])) } : {}),
    ...(json ? { content: jsonContent(json) } : {}),
    ...(bytes ? { content: { [OCTET_STREAM]: {} } } : {}),
  }
}

/** Codes of one status share a response; a status that is also a good answer (503 of readyz) keeps that. */
function problems(name: RouteName): Json {
  const codes = errorsOf(name)
  const good = new Set<number>(ROUTES[name].answers.map(answer => answer.status))
  const statuses = [...new Set(codes.map(code => WIRE_ERRORS[code].status))].filter(status => !good.has(status))
  const content = { [PROBLEM_JSON]: { schema: reference(schemas.problem) } }
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
          content,
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
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io: 'input' })
  return rest
}

/**
 * Calls of the wire contract by the names of its routes. Every response is held against the contract: its status must
 * be described, its body must have the promised shape, a problem must carry the promised fields.
 */
import { randomBytes } from 'node:crypto'

import { Agent, request, type Dispatcher } from 'undici'
import { expect } from 'vitest'

import { WIRE_ERRORS, type WireErrorCode } from '../../src/protocol/errors.ts'
import { errorsOf } from '../../src/protocol/openapi.ts'
import { routePath, type RouteName, type RouteParameters } from '../../src/protocol/paths.ts'
import { ROUTES, type Route } from '../../src/protocol/routes.ts'
import * as schemas from '../../src/protocol/schemas.ts'
import { localAuth } from './local-token.ts'

export interface CallOptions {
  readonly json?: unknown
  readonly body?: Dispatcher.DispatchOptions['body']
  readonly headers?: Readonly<Record<string, string>>
  readonly query?: Readonly<Record<string, string | number>>
  readonly signal?: AbortSignal
}

export interface Reply {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
  /** The parsed body; `undefined` when it is not JSON. */
  readonly json: unknown
  /** The code of a problem; `null` for a good response. */
  readonly code: string | null
}

export interface Api {
  readonly url: string
  call<Name extends RouteName>(name: Name, parameters: RouteParameters<Name>, options?: CallOptions): Promise<Reply>
  begin(options?: { json?: schemas.BeginUploadRequest; headers?: Record<string, string> }): Promise<schemas.UploadBegun>
  putPart(uploadId: string, index: number, bytes: Uint8Array, headers?: Record<string, string>): Promise<Reply>
  complete(uploadId: string, sizeBytes: number): Promise<Reply>
  /** Stores a whole media in one request. */
  store(bytes: Uint8Array, query?: CallOptions['query'], headers?: Record<string, string>): Promise<schemas.Media>
  read(mediaId: string, headers?: Record<string, string>): Promise<Reply>
}

export interface ApiOptions {
  /** The default is the token of the user that runs the server; `null`: none. */
  readonly token?: string | null
  readonly owner?: string
}

export function createApi(url: string, { token, owner }: ApiOptions = {}): Api {
  const always = {
    ...(token === undefined ? localAuth(url) : token === null ? {} : { authorization: `Bearer ${token}` }),
    ...(owner === undefined ? {} : { 'sealift-owner': owner }),
  }
  const call: Api['call'] = async (name, parameters, { json, body, headers, query, signal } = {}) => {
    const search =
      query === undefined
        ? ''
        : `?${new URLSearchParams(Object.entries(query).map(([key, value]) => [key, String(value)])).toString()}`
    // A connection of its own, and none that stays: one address may have only so many.
    const dispatcher = new Agent({ pipelining: 1, connections: 1, headersTimeout: 0, bodyTimeout: 0 })
    try {
      const {
        statusCode,
        headers: responded,
        body: stream,
      } = await request(`${url}${routePath(name, parameters)}${search}`, {
        method: ROUTES[name].method,
        headers: { ...always, ...(json === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
        body: json === undefined ? (body ?? null) : JSON.stringify(json),
        signal: signal ?? null,
        dispatcher,
      })
      return checkResponse(name, {
        status: statusCode,
        headers: Object.fromEntries(Object.entries(responded).map(([key, value]) => [key, String(value)])),
        body: Buffer.from(await stream.arrayBuffer()),
      })
    } finally {
      await dispatcher.destroy()
    }
  }
  return {
    url,
    call,
    async begin({ json = {}, headers = {} } = {}) {
      const response = await call('beginUpload', {}, { json, headers })
      expect(response).toMatchObject({ status: 201 })
      return schemas.uploadBegun.parse(response.json)
    },
    putPart: (uploadId, index, bytes, headers = {}) =>
      call('putPart', { uploadId, index }, { body: bytes, headers: { ...OCTETS, ...headers } }),
    complete: (uploadId, sizeBytes) => call('completeUpload', { uploadId }, { json: { sizeBytes } }),
    async store(bytes, query = {}, headers = {}) {
      const response = await call('storeMedia', {}, { body: bytes, query, headers: { ...OCTETS, ...headers } })
      expect(response).toMatchObject({ status: 201 })
      return schemas.media.parse(response.json)
    },
    read: (mediaId, headers = {}) => call('readMedia', { mediaId }, { headers }),
  }
}

/**
 * What applies to the caller and what it uses, but for rows: those of what has ended stay counted until it is purged.
 */
export async function limitsButRows(api: Api): Promise<schemas.Limits> {
  const { usage, remaining, ...limits } = (await api.call('limits', {})).json as schemas.Limits
  return { ...limits, usage: { ...usage, storedRows: 0 }, remaining: { ...remaining, storedRows: 0 } }
}

export const OCTETS = { 'content-type': 'application/octet-stream' }

export const newOwner = (): string => randomBytes(24).toString('base64url')

/** Fails the test when an response is not what the contract says of this route. */
export function checkResponse(name: RouteName, raw: Pick<Reply, 'status' | 'headers' | 'body'>): Reply {
  const route: Route = ROUTES[name]
  const type = raw.headers['content-type'] ?? ''
  const json: unknown = /json/.test(type) && raw.body.length > 0 ? JSON.parse(raw.body.toString()) : undefined
  expect(raw.headers['sealift-request-id'], 'every response names its request').toMatch(/^[\w-]{6,}$/)
  const good = route.responses.find(({ status }) => status === raw.status)
  if (good) {
    if (good.json) good.json.parse(json)
    for (const header of good.headers ?? []) checkHeader(header, raw.headers)
    return { ...raw, json, code: null }
  }
  return { ...raw, json, code: raw.body.length === 0 ? null : checkProblem(name, raw, json) }
}

/** Headers that come only with some responses of a status. */
const SOMETIMES = new Set(['Sealift-Download', 'Content-Length'])

function checkHeader(header: string, headers: Reply['headers']): void {
  if (!SOMETIMES.has(header)) expect(headers, `${header} is promised`).toHaveProperty(header.toLowerCase())
}

function checkProblem(name: RouteName, { status, headers }: Pick<Reply, 'status' | 'headers'>, json: unknown): string {
  const problem = schemas.problem.parse(json)
  const code = problem.code as WireErrorCode
  expect(headers['content-type']).toBe('application/problem+json')
  expect([...errorsOf(name), 'method_not_allowed'], `${name} may return ${code}`).toContain(code)
  expect(problem).toMatchObject({ type: `urn:sealift:problem:${code}`, title: WIRE_ERRORS[code].title, status })
  expect(WIRE_ERRORS[code].status).toBe(status)
  expect(problem.detail.length).toBeGreaterThan(10)
  expect(problem.requestId).toBe(headers['sealift-request-id'])
  if (status === 429) checkLimit(problem)
  if (status === 429 || status === 503) expect(Number(headers['retry-after'])).toBeGreaterThanOrEqual(1)
  if (status === 401) expect(headers['www-authenticate']).toMatch(/^Bearer/)
  return code
}

function checkLimit(problem: schemas.Problem): void {
  expect(problem.limit).toEqual(expect.any(String))
  expect(problem.value).toEqual(expect.any(Number))
  expect(problem.remaining).toEqual(expect.any(Number))
}

import { isWireErrorCode, SealiftError } from '../../protocol/errors.ts'
import type { WireErrorCode } from '../../protocol/errors.ts'
import { HEADER, PROBLEM_JSON } from '../../protocol/headers.ts'
import { read, type Reader } from '../../protocol/reader.ts'
import { problemReader } from '../../protocol/response-readers.ts'
import { lingering, throwIfAborted } from '../concurrency/abort.ts'
import type { StoreConnection } from '../transport/store-connection.ts'
import { assertHeaderValue } from './credential.ts'
import { serverBase } from '../link.ts'
import type { Retrier } from './retrier.ts'
import type { Transport, TransportRequest, TransportResponse } from '../transport/transport.ts'
import type { ServerCredential, SentToken } from './credential.ts'

/** Longest response that is read into memory: manifests are the largest. */
const MAX_RESPONSE_BYTES = 64 * 1024 * 1024
const MAX_PROBLEM_BYTES = 64 * 1024
const NOT_MODIFIED = 304
/** Longest wait for the response to an aborted request. */
const LINGER_MS = 2000

export interface ServerAccess {
  /** Base URL. */
  readonly server: string
  readonly credential: ServerCredential
  readonly transport: Transport
  readonly retrier: Retrier
  /** Longest silence of the server that is not taken for a broken connection. */
  readonly stallTimeoutMs: number
  /** Base URLs of servers found to take manifests as JSON alone. */
  readonly jsonOnly?: Set<string>
  /** The connection to its store; `null` or absent: everything goes through the server. */
  readonly store?: StoreConnection | null
}

export interface ServerRequest extends Pick<TransportRequest, 'method' | 'body' | 'onSent' | 'signal'> {
  /** From `routePath`. */
  readonly path: string
  readonly query?: Readonly<Record<string, string | number | undefined>>
  readonly headers?: Readonly<Record<string, string | undefined>>
  /** Instead of the usual timeout, for responses that may take long. */
  readonly stallTimeoutMs?: number
}

/** One server: adds its base URL and credential to requests, turns error responses into errors, and retries. */
export class Server {
  readonly base: string
  readonly retrier: Retrier
  readonly store: StoreConnection | null
  readonly #access: ServerAccess

  constructor(access: ServerAccess) {
    this.base = serverBase(access.server)
    this.retrier = access.retrier
    this.store = access.store ?? null
    this.#access = access
  }

  /** True once the server has refused raw manifests, as those before that form do. */
  get takesOnlyJson(): boolean {
    return this.#access.jsonOnly?.has(this.base) ?? false
  }

  noteJsonOnly(): void {
    this.#access.jsonOnly?.add(this.base)
  }

  /** One attempt. Resolves with a response below 400. @throws the server's error; `network`; the abort */
  async attempt(request: ServerRequest): Promise<TransportResponse> {
    throwIfAborted(request.signal)
    const sent = new SentBytes(request.onSent)
    try {
      return await this.#exchange(request, sent)
    } catch (error) {
      sent.takeBack()
      throw error
    }
  }

  async #exchange(request: ServerRequest, sent: SentBytes): Promise<TransportResponse> {
    const { credential } = this.#access
    const current = credential.current()
    // Awaited only when it is a promise, which saves a turn of the event loop.
    const token = current instanceof Promise ? await current : current
    let response = await this.#send(request, token, sent)
    if (response.status === 401 && token && credential.instead) {
      const other = await credential.instead(token)
      await response.discard()
      sent.takeBack()
      response = await this.#send(request, other, sent)
    }
    if (response.status >= 400) throw await refusal(response)
    if (response.status >= 300 && response.status !== NOT_MODIFIED) throw await redirection(response, this.base)
    return response
  }

  #send(request: ServerRequest, token: SentToken | null, sent: SentBytes): Promise<TransportResponse> {
    return this.#access.transport.request({
      method: request.method,
      url: `${token?.base ?? this.base}${request.path}${queryString(request.query)}`,
      headers: requestHeaders(request.headers, token),
      signal: request.signal,
      stallTimeoutMs: request.stallTimeoutMs ?? this.#access.stallTimeoutMs,
      onSent: bytes => sent.add(bytes),
      ...(request.body && { body: request.body }),
    })
  }

  /**
   * Retries until there is a response; reads it and checks its shape.
   *
   * The response to a POST that is aborted when its body is sent is awaited for two seconds, because it names what must
   * be deleted again.
   */
  json<T>(request: ServerRequest, reader: Reader<T>): Promise<T> {
    return this.retrier.run(request.signal, async () => {
      const whole = request.body?.byteLength ?? 0
      let sent = 0
      const onSent = (bytes: number): void => {
        sent += bytes
        request.onSent?.(bytes)
      }
      const isWorthWaiting = (): boolean => request.method === 'POST' && sent >= whole
      return lingering(request.signal, { lingerMs: LINGER_MS, isWorthWaiting }, async signal =>
        parseResponse(await this.attempt({ ...request, onSent, signal }), reader),
      )
    })
  }

  /** Retries until there is a response, whose body is discarded. */
  async done(request: ServerRequest): Promise<void> {
    await this.retrier.run(request.signal, async () => (await this.attempt(request)).discard())
  }
}

function requestHeaders(given: ServerRequest['headers'] = {}, sent: SentToken | null): Record<string, string> {
  const headers: Record<string, string> = {}
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined) continue
    assertHeaderValue(name, value)
    headers[name] = value
  }
  if (sent !== null) headers['authorization'] = `Bearer ${sent.token}`
  return headers
}

/** Reads a response and checks its shape. @throws invalid_response */
export async function parseResponse<T>(response: Pick<TransportResponse, 'body'>, reader: Reader<T>): Promise<T> {
  const { value } = read(reader, parseJson(await readAll(response, MAX_RESPONSE_BYTES)))
  if (value === null) throw notUnderstood()
  return value
}

/** The bytes that an attempt has sent; subtracted when it fails, since the next attempt sends them again. */
export class SentBytes {
  readonly #report: ((bytes: number) => void) | undefined
  #bytes = 0

  constructor(report: ((bytes: number) => void) | undefined) {
    this.#report = report
  }

  add(bytes: number): void {
    this.#bytes += bytes
    this.#report?.(bytes)
  }

  takeBack(): void {
    this.#report?.(-this.#bytes)
    this.#bytes = 0
  }
}

/** A JSON body and the header that goes with it. */
export function jsonBody(value: unknown): { body: Uint8Array<ArrayBuffer>; headers: { 'content-type': string } } {
  return { body: new TextEncoder().encode(JSON.stringify(value)), headers: { 'content-type': 'application/json' } }
}

/** @throws invalid_response when there is more than `maxBytes` */
export async function readAll(
  response: Pick<TransportResponse, 'body'>,
  maxBytes: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const pieces: Uint8Array[] = []
  let length = 0
  for await (const piece of response.body) {
    length += piece.byteLength
    if (length > maxBytes) throw notUnderstood()
    pieces.push(piece)
  }
  const all = new Uint8Array(length)
  let at = 0
  for (const piece of pieces) {
    all.set(piece, at)
    at += piece.byteLength
  }
  return all
}

export function notUnderstood(): SealiftError {
  return new SealiftError('invalid_response', 'The server sent a response that this client does not understand')
}

function queryString(query: ServerRequest['query'] = {}): string {
  const search = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) if (value !== undefined) search.set(name, String(value))
  return search.size > 0 ? `?${search.toString()}` : ''
}

async function refusal(response: TransportResponse): Promise<SealiftError> {
  const retryAfterSeconds = parseRetryAfter(response.header('retry-after'))
  const isProblem = response.header('content-type')?.startsWith(PROBLEM_JSON) ?? false
  if (!isProblem) {
    await response.discard()
    return foreignRefusal(response.status, retryAfterSeconds)
  }
  const problem = read(problemReader, parseJson(await readAll(response, MAX_PROBLEM_BYTES))).value
  if (!problem || !isWireErrorCode(problem.code)) return foreignRefusal(response.status, retryAfterSeconds)
  const { limit, value, remaining, requestId, code, detail } = problem
  const sizeBytes = parseUnsatisfiedSize(response.header('content-range'))
  const facts = Object.entries({ limit, value, remaining, requestId, sizeBytes }).filter(
    ([, fact]) => fact !== undefined,
  )
  return new SealiftError(code, detail, { context: { ...Object.fromEntries(facts), ...retryAfterSeconds } })
}

/** Redirects are not followed, so that no token reaches another server and no request what only this client reaches. */
export async function redirection(response: TransportResponse, base: string): Promise<SealiftError> {
  const location = response.header('location') ?? ''
  await response.discard()
  const target = URL.canParse(location, base) ? new URL(location, base) : null
  const isUpgrade = target?.protocol === 'https:' && base.startsWith('http:')
  const advice = isUpgrade
    ? 'It wants TLS: give its address, or the link, with https:// instead of http://'
    : 'Give the address of the server itself'
  const to = target ? ` to ${target.origin}` : ''
  return new SealiftError('redirected', `The server redirects${to}, which is not followed. ${advice}`)
}

/** Statuses that a proxy before the server may respond with. */
const FOREIGN: Readonly<Record<number, WireErrorCode>> = {
  401: 'unauthorized',
  403: 'forbidden',
  404: 'not_found',
  408: 'stalled',
  410: 'gone',
  413: 'too_large',
  429: 'rate_limited',
  500: 'internal',
  502: 'unavailable',
  503: 'unavailable',
  504: 'unavailable',
  507: 'storage_full',
}

function foreignRefusal(status: number, retryAfter: { retryAfterSeconds?: number }): SealiftError {
  const code = FOREIGN[status]
  if (!code) return notUnderstood()
  return new SealiftError(code, `The server, or a proxy before it, responded with ${status}`, {
    context: { status, ...retryAfter },
  })
}

/** The size in the Content-Range of a 416 (RFC 9110, 15.5.17). */
function parseUnsatisfiedSize(header: string | null): number | undefined {
  const match = /^bytes \*\/(\d{1,15})$/.exec(header ?? '')
  return match ? Number(match[1]) : undefined
}

/** Seconds or an HTTP date (RFC 9110, 10.2.3). */
function parseRetryAfter(header: string | null): { retryAfterSeconds?: number } {
  if (header === null) return {}
  const seconds = /^\d{1,9}$/.test(header) ? Number(header) : (Date.parse(header) - Date.now()) / 1000
  return Number.isFinite(seconds) ? { retryAfterSeconds: Math.max(0, seconds) } : {}
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes))
  } catch {
    throw notUnderstood()
  }
}

/** Headers of a request that creates something: the owner secret, and the key that makes retries harmless. */
export function makingHeaders(owner: string, idempotencyKey: string): Record<string, string> {
  return { [HEADER.owner]: owner, [HEADER.idempotencyKey]: idempotencyKey }
}

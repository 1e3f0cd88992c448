import { S3Client, type S3ClientConfig } from '@aws-sdk/client-s3'
import type { NodeHttpHandler } from '@smithy/node-http-handler'
import type { IncomingHttpHeaders } from 'node:http'
import { Agent, type Dispatcher } from 'undici'

import { type ReceiveMemory, ResponseBody, receivingConnector } from './receive-memory.ts'

/** Where the bucket is and how to reach it. */
export interface S3Connection {
  /** http or https URL of the service. */
  readonly endpoint: string
  readonly region: string
  readonly bucket: string
  /** The prefix of every object name; empty, or ending with `/`. */
  readonly prefix: string
  /** Both `null`: the SDK's default chain finds them (environment, the machine's role). */
  readonly accessKeyId: string | null
  readonly secretAccessKey: string | null
  /** True: the bucket is in the path; false: in the host name. */
  readonly pathStyle: boolean
  /** Timeout of a new connection; 5000 ms by default. */
  readonly connectTimeoutMs?: number
  /** Timeout of one try, and of a pause while bytes move; 30 000 ms by default. */
  readonly requestTimeoutMs?: number
  /** Most connections to the service: this many for reads, and as many for everything else; 256 by default. */
  readonly maxSockets?: number
}

export interface S3ClientMemory {
  /** For received bytes; by default Node allocates a buffer for each read. */
  readonly receive?: ReceiveMemory
}

export const REQUEST_TIMEOUT_MS = 30_000
/** The SDK would log to the console; callers receive every failure as an error. */
const SILENT = { trace: ignore, debug: ignore, info: ignore, warn: ignore, error: ignore }
const CONNECT_TIMEOUT_MS = 5000
const MAX_SOCKETS = 256

/**
 * The SDK's client with settings that every S3-compatible service takes: no trailers, no checksums of its own, no
 * `Expect`. It does not retry; see `request-retries.ts`. The caller destroys it.
 */
export function createS3Client(connection: S3Connection, { receive }: S3ClientMemory = {}): S3Client {
  const { accessKeyId, secretAccessKey, endpoint, region, pathStyle } = connection
  const client = new S3Client({
    endpoint,
    region,
    forcePathStyle: pathStyle,
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    expectContinueHeader: false,
    maxAttempts: 1,
    logger: SILENT,
    requestHandler: createS3Handler({
      connectTimeoutMs: connection.connectTimeoutMs ?? CONNECT_TIMEOUT_MS,
      maxSockets: connection.maxSockets ?? MAX_SOCKETS,
      ...(receive && { memory: receive }),
    }),
    ...(accessKeyId === null || secretAccessKey === null ? {} : { credentials: { accessKeyId, secretAccessKey } }),
  })
  sendPayloadsUnsigned(client)
  return client
}

function ignore(): void {}

/** Receivers authenticate the sealed bytes, so hashing them once more for the signature proves nothing. */
function sendPayloadsUnsigned(client: S3Client): void {
  client.middlewareStack.add(
    next => args => {
      const { request } = args
      if (isPutRequest(request)) request.headers['x-amz-content-sha256'] = 'UNSIGNED-PAYLOAD'
      return next(args)
    },
    { step: 'build', name: 'sealiftUnsignedPayload' },
  )
}

interface PutRequest {
  readonly method: 'PUT'
  readonly headers: Record<string, string>
}

function isPutRequest(request: unknown): request is PutRequest {
  return typeof request === 'object' && request !== null && 'method' in request && request.method === 'PUT'
}

type Handler = NonNullable<S3ClientConfig['requestHandler']>
type Handle = NodeHttpHandler['handle']
type HttpRequest = Parameters<Handle>[0]
type HttpResponse = Awaited<ReturnType<Handle>>['response']

export interface S3HandlerOptions {
  readonly connectTimeoutMs: number
  readonly maxSockets: number
  /** For received bytes; by default Node allocates buffers. */
  readonly memory?: ReceiveMemory
}

/**
 * Carries the SDK's requests over undici, which moves bytes at half the processor time of `node:http`. Deadlines are
 * the caller's: by the signal, or by destroying the response's body, a `ResponseBody`.
 */
export function createS3Handler({ connectTimeoutMs, maxSockets, memory }: S3HandlerOptions): Handler {
  const agent = new Agent({
    connections: maxSockets,
    connect: memory ? receivingConnector(memory, connectTimeoutMs) : { timeout: connectTimeoutMs },
    headersTimeout: 0,
    bodyTimeout: 0,
  })
  const handle: Handle = async (request, options) => {
    const dispatch = {
      origin: originOf(request),
      path: pathOf(request),
      method: request.method,
      headers: request.headers,
      body: (request.body ?? null) as Dispatcher.DispatchOptions['body'] & object,
      // Else undici closes the connection after each HEAD, in case the server sends a body.
      reset: false,
    }
    return {
      response: await send(agent, dispatch, { memory, signal: options?.abortSignal as AbortSignal | undefined }),
    }
  }
  return {
    handle,
    destroy: () => void agent.destroy(),
    updateHttpClientConfig: () => undefined,
    httpHandlerConfigs: () => ({}),
    metadata: { handlerProtocol: 'http/1.1' },
  }
}

interface DispatchContext {
  readonly memory: ReceiveMemory | undefined
  /** Ends the request, and the body of its response. */
  readonly signal: AbortSignal | undefined
}

function send(agent: Agent, options: Dispatcher.DispatchOptions, context: DispatchContext): Promise<HttpResponse> {
  return new Promise((resolve, reject) => {
    agent.dispatch(options, new ResponseHandler(context, { resolve, reject }))
  })
}

/** Receives undici's events of one request. */
class ResponseHandler implements Dispatcher.DispatchHandler {
  readonly #context: DispatchContext
  readonly #outcome: Pick<PromiseWithResolvers<HttpResponse>, 'resolve' | 'reject'>
  #controller: Dispatcher.DispatchController | null = null
  #body: ResponseBody | null = null

  constructor(context: DispatchContext, outcome: Pick<PromiseWithResolvers<HttpResponse>, 'resolve' | 'reject'>) {
    this.#context = context
    this.#outcome = outcome
    context.signal?.addEventListener('abort', this.#abort, { once: true })
    if (context.signal?.aborted) this.#abort()
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    if (this.#context.signal?.aborted) this.#abort()
  }

  onResponseStart(controller: Dispatcher.DispatchController, statusCode: number, headers: IncomingHttpHeaders): void {
    if (statusCode < 200) return
    this.#body = new ResponseBody(this.#context.memory, controller)
    this.#outcome.resolve({ statusCode, headers: flat(headers), body: this.#body })
  }

  onResponseData(_: Dispatcher.DispatchController, piece: Uint8Array): void {
    this.#body?.arrived(piece)
  }

  onResponseEnd(): void {
    this.#unlisten()
    this.#body?.ended()
  }

  onResponseError(_: Dispatcher.DispatchController, error: Error): void {
    this.#unlisten()
    this.#body?.destroy(error)
    this.#outcome.reject(error)
  }

  /** The promise rejects at once; undici drops a queued request when its turn comes. */
  #abort = (): void => {
    const reason = this.#context.signal?.reason as Error
    this.#outcome.reject(reason)
    this.#body?.destroy(reason)
    this.#controller?.abort(reason)
  }

  #unlisten(): void {
    this.#context.signal?.removeEventListener('abort', this.#abort)
  }
}

function originOf({ protocol, hostname, port }: HttpRequest): string {
  return `${protocol}//${hostname}${port === undefined ? '' : `:${port}`}`
}

/** The request target: path and query. */
export function pathOf({ path, query }: Pick<HttpRequest, 'path'> & Partial<Pick<HttpRequest, 'query'>>): string {
  const pairs = Object.entries(query ?? {}).flatMap(([name, value]) => {
    if (value === null) return [encode(name)]
    return [value].flat().map(each => `${encode(name)}=${encode(each)}`)
  })
  return pairs.length === 0 ? path : `${path}?${pairs.join('&')}`
}

/** Percent-encoding as the signature needs it: all but RFC 3986's unreserved characters. */
export function encode(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, char => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)
}

function flat(headers: IncomingHttpHeaders): Record<string, string> {
  const result: Record<string, string> = {}
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined) result[name] = Array.isArray(value) ? value.join(',') : value
  }
  return result
}

import { S3Client, type S3ClientConfig } from '@aws-sdk/client-s3'
import type { NodeHttpHandler } from '@smithy/node-http-handler'
import type { IncomingHttpHeaders } from 'node:http'
import { Agent, type Dispatcher } from 'undici'

import { type ReceiveMemory, ResponseBody, receivingConnector } from './receive-memory.ts'

/** Where the bucket is and how to speak to it. */
export interface S3Connection {
  /** http or https URL of the service. */
  readonly endpoint: string
  readonly region: string
  readonly bucket: string
  /** What every object name begins with; empty, or ending with `/`. */
  readonly prefix: string
  /** Both `null`: found where AWS's own tools look (variables, the machine's role). */
  readonly accessKeyId: string | null
  readonly secretAccessKey: string | null
  /** The bucket in the path, instead of in the host name. */
  readonly pathStyle: boolean
  /** How long making a connection may take; 5000 ms by default. */
  readonly connectTimeoutMs?: number
  /** How long one try of one call may take to answer and, while bytes move, how long without any; 30 000 ms by default. */
  readonly requestTimeoutMs?: number
  /** Connections to the service at most, for reading and for everything else, each; 256 by default. */
  readonly maxSockets?: number
}

export interface S3ClientMemory {
  /** For bytes that come from the service; by default each read has a buffer of Node's. */
  readonly receive?: ReceiveMemory
}

export const REQUEST_TIMEOUT_MS = 30_000
/** The SDK would write to the console; whoever calls learns of every failure. */
const SILENT = { trace: ignore, debug: ignore, info: ignore, warn: ignore, error: ignore }
const CONNECT_TIMEOUT_MS = 5000
const MAX_SOCKETS = 256

/**
 * The SDK's client with settings that every S3-compatible service takes: no trailers, no checksums of its own, no
 * `Expect`. It does not retry; see `retry.ts`. Whoever makes it destroys it.
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

/** The bytes are sealed, and whoever reads them proves them: hashing them once more for the signature buys nothing. */
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
type HttpAnswer = Awaited<ReturnType<Handle>>['response']

export interface S3HandlerOptions {
  readonly connectTimeoutMs: number
  readonly maxSockets: number
  /** What bytes arrive in; by default in buffers that Node makes. */
  readonly memory?: ReceiveMemory
}

/**
 * Carries the SDK's requests over undici, which moves bytes at half the processor time of `node:http`. Deadlines are
 * the caller's: by the signal, or by destroying the answer's body, an `ResponseBody`.
 */
export function createS3Handler({ connectTimeoutMs, maxSockets, memory }: S3HandlerOptions): Handler {
  const agent = new Agent({
    connections: maxSockets,
    connect: memory ? receivingConnector(memory, connectTimeoutMs) : { timeout: connectTimeoutMs },
    headersTimeout: 0,
    bodyTimeout: 0,
  })
  const handle: Handle = async (request, options) => {
    const asked = {
      origin: originOf(request),
      path: pathOf(request),
      method: request.method,
      headers: request.headers,
      body: (request.body ?? null) as Dispatcher.DispatchOptions['body'] & object,
      // Else undici closes a connection after each HEAD, for the sake of servers that answer it with a body.
      reset: false,
    }
    return {
      response: await answerOf(agent, asked, { memory, signal: options?.abortSignal as AbortSignal | undefined }),
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

interface Asking {
  readonly memory: ReceiveMemory | undefined
  /** Ends the request, and its answer's body too. */
  readonly signal: AbortSignal | undefined
}

function answerOf(agent: Agent, asked: Dispatcher.DispatchOptions, asking: Asking): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    agent.dispatch(asked, new Exchange(asking, { resolve, reject }))
  })
}

/** One request on its way, as undici tells of it. */
class Exchange implements Dispatcher.DispatchHandler {
  readonly #asking: Asking
  readonly #outcome: Pick<PromiseWithResolvers<HttpAnswer>, 'resolve' | 'reject'>
  #controller: Dispatcher.DispatchController | null = null
  #body: ResponseBody | null = null

  constructor(asking: Asking, outcome: Pick<PromiseWithResolvers<HttpAnswer>, 'resolve' | 'reject'>) {
    this.#asking = asking
    this.#outcome = outcome
    asking.signal?.addEventListener('abort', this.#abort, { once: true })
    if (asking.signal?.aborted) this.#abort()
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    if (this.#asking.signal?.aborted) this.#abort()
  }

  onResponseStart(controller: Dispatcher.DispatchController, statusCode: number, headers: IncomingHttpHeaders): void {
    if (statusCode < 200) return
    this.#body = new ResponseBody(this.#asking.memory, controller)
    this.#outcome.resolve({ statusCode, headers: flat(headers), body: this.#body })
  }

  onResponseData(_: Dispatcher.DispatchController, piece: Uint8Array): void {
    this.#body?.arrived(piece)
  }

  onResponseEnd(): void {
    this.#over()
    this.#body?.ended()
  }

  onResponseError(_: Dispatcher.DispatchController, error: Error): void {
    this.#over()
    this.#body?.destroy(error)
    this.#outcome.reject(error)
  }

  /** A request that waits for a connection is given up when its turn comes; nobody waits for it until then. */
  #abort = (): void => {
    const reason = this.#asking.signal?.reason as Error
    this.#outcome.reject(reason)
    this.#body?.destroy(reason)
    this.#controller?.abort(reason)
  }

  #over(): void {
    this.#asking.signal?.removeEventListener('abort', this.#abort)
  }
}

function originOf({ protocol, hostname, port }: HttpRequest): string {
  return `${protocol}//${hostname}${port === undefined ? '' : `:${port}`}`
}

/** Path and query of a request, as they are sent. */
export function pathOf({ path, query }: Pick<HttpRequest, 'path'> & Partial<Pick<HttpRequest, 'query'>>): string {
  const pairs = Object.entries(query ?? {}).flatMap(([name, value]) => {
    if (value === null) return [encode(name)]
    return [value].flat().map(each => `${encode(name)}=${encode(each)}`)
  })
  return pairs.length === 0 ? path : `${path}?${pairs.join('&')}`
}

/** As the signature is computed over it: RFC 3986, nothing else left as it is. */
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

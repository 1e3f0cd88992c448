import type { S3ClientConfig } from '@aws-sdk/client-s3'
import type { NodeHttpHandler } from '@smithy/node-http-handler'
import { Agent, type Dispatcher } from 'undici'

type Handler = NonNullable<S3ClientConfig['requestHandler']>
type Handle = NodeHttpHandler['handle']
type HttpRequest = Parameters<Handle>[0]
type HttpAnswer = Awaited<ReturnType<Handle>>['response']

export interface S3HandlerOptions {
  readonly connectTimeoutMs: number
  readonly maxSockets: number
}

/**
 * Carries the SDK's requests over undici, which moves bytes at half the processor time of `node:http`. Deadlines are
 * the caller's: by the signal until the answer's headers are there, then by destroying the body.
 */
export function createS3Handler({ connectTimeoutMs, maxSockets }: S3HandlerOptions): Handler {
  const agent = new Agent({
    connections: maxSockets,
    connect: { timeout: connectTimeoutMs },
    headersTimeout: 0,
    bodyTimeout: 0,
  })
  const handle: Handle = async (request, options) => {
    const signal = options?.abortSignal
    const answer = await agent.request({
      origin: originOf(request),
      path: pathOf(request),
      method: request.method,
      headers: request.headers,
      body: (request.body ?? null) as Dispatcher.DispatchOptions['body'] & object,
      ...(signal ? { signal: signal as AbortSignal } : {}),
    })
    return { response: asAnswer(answer) }
  }
  return {
    handle,
    destroy: () => void agent.destroy(),
    updateHttpClientConfig: () => undefined,
    httpHandlerConfigs: () => ({}),
    metadata: { handlerProtocol: 'http/1.1' },
  }
}

function originOf({ protocol, hostname, port }: HttpRequest): string {
  return `${protocol}//${hostname}${port === undefined ? '' : `:${port}`}`
}

function pathOf({ path, query }: HttpRequest): string {
  const pairs = Object.entries(query ?? {}).flatMap(([name, value]) => {
    if (value === null) return [encode(name)]
    return [value].flat().map(each => `${encode(name)}=${encode(each)}`)
  })
  return pairs.length === 0 ? path : `${path}?${pairs.join('&')}`
}

/** As the signature is computed over it: RFC 3986, nothing else left as it is. */
function encode(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, char => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)
}

function asAnswer({ statusCode, headers, body }: Dispatcher.ResponseData): HttpAnswer {
  const flat: Record<string, string> = {}
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined) flat[name] = Array.isArray(value) ? value.join(',') : value
  }
  return { statusCode, headers: flat, body }
}

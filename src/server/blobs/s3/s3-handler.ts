import type { S3ClientConfig } from '@aws-sdk/client-s3'
import type { NodeHttpHandler } from '@smithy/node-http-handler'
import type { IncomingHttpHeaders } from 'node:http'
import { Agent, type Dispatcher } from 'undici'

import { AnswerBody } from './answer-body.ts'
import type { ReceiveMemory } from './receive-memory.ts'
import { receivingConnector } from './receiving-connector.ts'

type Handler = NonNullable<S3ClientConfig['requestHandler']>
type Handle = NodeHttpHandler['handle']
type HttpRequest = Parameters<Handle>[0]
type HttpAnswer = Awaited<ReturnType<Handle>>['response']

export interface S3HandlerOptions {
  readonly connectTimeoutMs: number
  readonly maxSockets: number
  readonly memory: ReceiveMemory
}

/**
 * Carries the SDK's requests over undici, which moves bytes at half the processor time of `node:http`. Deadlines are
 * the caller's: by the signal until the answer's headers are there, then by destroying the body, an `AnswerBody`.
 */
export function createS3Handler({ connectTimeoutMs, maxSockets, memory }: S3HandlerOptions): Handler {
  const agent = new Agent({
    connections: maxSockets,
    connect: receivingConnector(memory, connectTimeoutMs),
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
  readonly memory: ReceiveMemory
  /** Ends the request; an answer's body that is there by then is not touched. */
  readonly signal: AbortSignal | undefined
}

function answerOf(agent: Agent, asked: Dispatcher.DispatchOptions, { memory, signal }: Asking): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    let controller: Dispatcher.DispatchController | null = null
    let body: AnswerBody | null = null
    const abort = (): void => {
      const reason = signal?.reason as Error
      controller?.abort(reason)
      reject(reason)
    }
    const settled = (): void => signal?.removeEventListener('abort', abort)
    if (signal?.aborted) return abort()
    signal?.addEventListener('abort', abort, { once: true })
    agent.dispatch(asked, {
      onRequestStart(current) {
        controller = current
        if (signal?.aborted) current.abort(signal.reason as Error)
      },
      onResponseStart(current, statusCode, headers) {
        if (statusCode < 200) return
        settled()
        body = new AnswerBody(memory, current)
        resolve({ statusCode, headers: flat(headers), body })
      },
      onResponseData: (_, piece) => body?.arrived(piece),
      onResponseEnd: () => body?.ended(),
      onResponseError(_, error) {
        settled()
        if (body) body.destroy(error)
        else reject(error)
      },
    })
  })
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

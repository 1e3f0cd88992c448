import { SealiftError } from '../../protocol/errors.ts'
import { abortReason } from '../concurrency/abort.ts'
import type { Transport, TransportRequest, TransportResponse } from './transport.ts'

/** The slowest upload that does not count as stalled, since `fetch` does not report upload progress. */
const SLOWEST_BYTES_PER_MS = 16

/** Browsers hide the status of a redirect. */
const HIDDEN_REDIRECT = 302

/** A body of at most this size is reported as sent with its request. */
const SMALL_BYTES = 256 * 1024

export type Fetch = (url: string, init: RequestInit) => Promise<Response>

/** Sends requests with `fetch`: any browser, Deno, Bun, Node. */
export function fetchTransport(fetch: Fetch = (url, init) => globalThis.fetch(url, init)): Transport {
  return {
    request: request => send(fetch, request),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }
}

async function send(fetch: Fetch, request: TransportRequest): Promise<TransportResponse> {
  const watchdog = new Watchdog(request)
  try {
    watchdog.feed((request.body?.byteLength ?? 0) / SLOWEST_BYTES_PER_MS)
    const responding = fetch(request.url, {
      method: request.method,
      headers: request.headers,
      ...(request.body && { body: request.body }),
      signal: watchdog.signal,
      // A token must not follow a redirect. Browsers hide where it leads.
      redirect: 'manual',
      cache: 'no-store',
      credentials: 'omit',
      referrerPolicy: 'no-referrer',
    })
    if (request.body && request.body.byteLength <= SMALL_BYTES) request.onSent?.(request.body.byteLength)
    return transportResponse(await responding, watchdog)
  } catch (error) {
    watchdog.stop()
    throw translated(error, request.signal)
  }
}

function transportResponse(response: Response, watchdog: Watchdog): TransportResponse {
  const body = response.body
  if (!body) watchdog.stop()
  return {
    status: response.type === 'opaqueredirect' ? HIDDEN_REDIRECT : response.status,
    header: name => response.headers.get(name),
    body: body ? readBody(body, watchdog) : nothing(),
    discard: async () => {
      watchdog.stop()
      await body?.cancel().catch(() => undefined)
    },
  }
}

async function* readBody(body: ReadableStream<Uint8Array>, watchdog: Watchdog): AsyncIterable<Uint8Array> {
  const reader = body.getReader()
  try {
    for (;;) {
      watchdog.feed(0)
      const { done, value } = await reader.read()
      if (done) return
      yield value
    }
  } catch (error) {
    throw translated(error, watchdog.callerSignal)
  } finally {
    watchdog.stop()
    await reader.cancel().catch(() => undefined)
  }
}

async function* nothing(): AsyncIterable<Uint8Array> {}

function translated(error: unknown, signal: AbortSignal): Error {
  if (signal.aborted) return abortReason(signal)
  if (error instanceof SealiftError) return error
  return new SealiftError('network', 'The server could not be reached, or the connection broke', { cause: error })
}

/** Aborts a request when nothing arrives for longer than its timeout. */
class Watchdog {
  readonly signal: AbortSignal
  readonly callerSignal: AbortSignal
  readonly #silence = new AbortController()
  readonly #timeoutMs: number
  #timer: ReturnType<typeof setTimeout> | undefined

  constructor(request: TransportRequest) {
    this.callerSignal = request.signal
    this.#timeoutMs = request.stallTimeoutMs
    this.signal = AbortSignal.any([request.signal, this.#silence.signal])
  }

  feed(extraMs: number): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.#silence.abort(), this.#timeoutMs + extraMs)
  }

  stop(): void {
    clearTimeout(this.#timer)
  }
}

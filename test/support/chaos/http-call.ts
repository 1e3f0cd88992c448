/** One HTTP call whose end is told exactly: responded whole, cut in the middle, or lost without an response. */
import { request, type IncomingHttpHeaders, type IncomingMessage } from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'

export interface HttpCall {
  readonly url: string
  readonly method: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array | null
  /** Sends the body after `100 Continue`, in pieces over about so many ms. */
  readonly slowlyMs: number | null
  readonly signal: AbortSignal
  /** The server holds what it needs to take the body: `100 Continue` has come. */
  readonly onContinue?: () => void
  /** The last piece of the body is about to be sent. */
  readonly onLastPiece?: () => void
  /** Bytes of the response have come. */
  readonly onBytes?: () => void
}

export interface HttpReply {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  /** What arrived of the body. */
  readonly body: Buffer
  /** False when the response was cut: its end never came. */
  readonly whole: boolean
}

/** No response came: the connection broke or the caller gave up. What was asked may have happened. */
export class LostCall extends Error {}

const PIECES = 4

export async function callHttp(call: HttpCall): Promise<HttpReply> {
  const { promise, resolve, reject } = Promise.withResolvers<HttpReply>()
  const { method, headers, body, slowlyMs, signal } = call
  const sent = request(call.url, {
    method,
    agent: false,
    signal,
    headers: {
      ...headers,
      ...(body === null ? {} : { 'content-length': String(body.length) }),
      ...(slowlyMs === null ? {} : { expect: '100-continue' }),
    },
  })
  sent.on('error', error => reject(new LostCall(error.message)))
  sent.on('response', responded => void collect(responded, call).then(resolve))
  sent.on('continue', () => {
    call.onContinue?.()
    void sendSlowly(call, piece => sent.write(piece)).then(() => sent.end())
  })
  if (slowlyMs === null) sent.end(body ?? undefined)
  else sent.flushHeaders()
  return promise
}

/** Never rejects: what is not sent, because the server has responded or is gone, is told by the request itself. */
async function sendSlowly({ body, slowlyMs, onLastPiece, signal }: HttpCall, write: (piece: Uint8Array) => void) {
  const bytes = body ?? new Uint8Array()
  const step = Math.ceil(bytes.length / PIECES)
  for (let start = 0; start < bytes.length; start += step) {
    await pause((slowlyMs ?? 0) / PIECES)
    if (signal.aborted) return
    if (start + step >= bytes.length) onLastPiece?.()
    write(bytes.subarray(start, start + step))
  }
}

function collect(responded: IncomingMessage, { onBytes }: HttpCall): Promise<HttpReply> {
  const { promise, resolve } = Promise.withResolvers<HttpReply>()
  const chunks: Buffer[] = []
  const done = (whole: boolean): void =>
    resolve({ status: responded.statusCode ?? 0, headers: responded.headers, body: Buffer.concat(chunks), whole })
  responded.on('data', (chunk: Buffer) => {
    chunks.push(chunk)
    onBytes?.()
  })
  responded.on('end', () => done(responded.complete))
  responded.on('error', () => done(false))
  responded.on('close', () => done(responded.complete))
  return promise
}

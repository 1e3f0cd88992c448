import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'

import { SealiftError } from '../../protocol/errors.ts'
import { freeMemory } from '../buffers/buffer-pool.ts'
import type { Exchange } from './exchange.ts'
import { describeProblem, problemHeaders } from './problems.ts'
import { sendText } from './responses.ts'

/** After a refusal, what the client is still sending is read and thrown away for so long, then the connection ends. */
const LINGER_MS = 5000
const LINGER_BYTES = 16 * 1024 * 1024
/** What a piece of a body counts as, however few bytes it has: handling a chunk of one byte costs as much. */
const LEAST_PIECE_BYTES = 4096
const LOOK_EVERY_MS = 100
/** A body of at most this many bytes is read to its end, and the connection kept. */
const SMALL_BODY_BYTES = 64 * 1024

/**
 * Answers with a problem. A client that is still sending would lose the answer if the connection just ended, so its
 * bytes are drained for a while; one that waits for `100 Continue` never sends them.
 */
export function refuse(exchange: Exchange, error: unknown): void {
  const { req, res, requestId } = exchange
  const body = JSON.stringify(describeProblem(error, requestId))
  const headers = problemHeaders(error)
  if (req.complete || exchange.draining || isSmall(exchange)) {
    sendText(exchange, statusOf(error), body, headers)
    return
  }
  if (exchange.awaitsContinue) return sendText(exchange, statusOf(error), body, headers)
  headers.push('Connection', 'close')
  res.writeHead(statusOf(error), exchange.headers('Content-Length', String(Buffer.byteLength(body)), ...headers))
  res.write(body, failure => {
    exchange.respondedEarly = !failure
  })
  drain(exchange, () => res.end())
}

function statusOf(error: unknown): number {
  return describeProblem(error).status
}

function isSmall({ req, awaitsContinue }: Exchange): boolean {
  return !awaitsContinue && Number(req.headers['content-length'] ?? Infinity) <= SMALL_BODY_BYTES
}

/** After any answer: what is left of a body may not keep the connection for ever. */
export function drainRest(exchange: Exchange): void {
  const { req } = exchange
  if (req.complete || req.socket.destroyed || exchange.awaitsContinue || exchange.draining) return
  if (exchange.closed) boundDump(exchange)
  else drain(exchange, complete => complete || req.socket.destroy())
}

const METHODS_WITH_BODY: ReadonlySet<string | undefined> = new Set(['POST', 'PUT'])

/**
 * A body where no route takes one is dropped from the beginning. Node would keep 64 KiB of it for as long as the request
 * waits: in chunks of one byte, 64 thousand objects.
 */
export function dropNeedlessBody(exchange: Exchange): void {
  const { method, headers } = exchange.req
  if (METHODS_WITH_BODY.has(method)) return
  if (headers['transfer-encoding'] === undefined && Number(headers['content-length'] ?? 0) === 0) return
  drain(exchange, complete => complete || exchange.req.socket.destroy())
}

/**
 * Once the response has ended, Node itself reads and drops the rest of the body, out of sight and without an end. The
 * count of the connection shows how much that is.
 */
function boundDump({ req }: Exchange): void {
  const { socket } = req
  const fromBytes = socket.bytesRead
  const untilMs = performance.now() + LINGER_MS
  const timer = setInterval(() => {
    const isOver = req.complete || socket.destroyed
    const isWithin = socket.bytesRead - fromBytes <= LINGER_BYTES && performance.now() < untilMs
    if (isWithin && !isOver) return
    clearInterval(timer)
    if (!isOver) socket.destroy()
  }, LOOK_EVERY_MS)
}

/** Reads and forgets the rest of the body; tells `then` whether it reached its end. */
function drain(exchange: Exchange, then: (complete: boolean) => void): void {
  const { req, chunkedBody } = exchange
  exchange.draining = true
  chunkedBody?.passThrough()
  let drainedBytes = 0
  const finish = () => {
    clearTimeout(timer)
    req.off('data', count).off('end', finish).off('close', finish)
    then(req.complete)
  }
  const count = (chunk: Buffer) => {
    drainedBytes += Math.max(chunk.length, LEAST_PIECE_BYTES)
    freeMemory(chunk)
    if (drainedBytes <= LINGER_BYTES) return
    stopReading(req)
    finish()
  }
  const timer = setTimeout(finish, LINGER_MS)
  req.on('error', () => undefined)
  req.on('data', count).on('end', finish).on('close', finish)
  req.resume()
}

/**
 * Else what the system has received already would be parsed first, chunk by chunk. Pausing the socket would do nothing:
 * the parser reads the connection itself, and stops when a request takes no more.
 */
function stopReading(req: Exchange['req']): void {
  req.pause()
  req.push = () => false
}

/**
 * The answer to bytes that are no HTTP request, written to the bare connection, which ends with it: whatever follows
 * on it could be taken for another request. In the middle of an answer the connection is just cut.
 */
export function sendRawError(socket: Socket, error: NodeJS.ErrnoException): void {
  if (!socket.writable || error.code === 'ECONNRESET' || isAnswering(socket)) {
    socket.destroy()
    return
  }
  const refusal = refusalOf(error)
  const problem = describeProblem(refusal)
  const body = JSON.stringify(problem)
  const headers = [...problemHeaders(refusal), 'Content-Length', String(Buffer.byteLength(body)), 'Connection', 'close']
  const lines = [`HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status] ?? ''}`]
  for (let index = 0; index < headers.length; index += 2) lines.push(`${headers[index]}: ${headers[index + 1]}`)
  socket.end(`${lines.join('\r\n')}\r\n\r\n${body}`, () => socket.destroySoon())
}

/** Node keeps the response that a connection is busy with in this property. */
function isAnswering(socket: Socket): boolean {
  return '_httpMessage' in socket && Boolean(socket._httpMessage)
}

function refusalOf(error: NodeJS.ErrnoException): SealiftError {
  if (error.code === 'HPE_HEADER_OVERFLOW') {
    return new SealiftError('headers_too_large', 'The request line and headers may have 16 KiB')
  }
  if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT') {
    return new SealiftError('invalid_request', 'The headers did not arrive in time')
  }
  return new SealiftError('invalid_request', 'This is not a well-formed HTTP/1.1 request')
}

/** Error responses: how a request is refused while its body may still be arriving. */
import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'

import { SealiftError } from '../../protocol/errors.ts'
import { freeMemory } from '../buffers/buffer-pool.ts'
import type { Exchange } from './exchange.ts'
import { describeProblem, problemHeaders } from './problems.ts'
import { sendText } from './responses.ts'

/**
 * After an error response, the rest of the body is read and discarded within these bounds; then the connection ends.
 */
const LINGER_MS = 5000
const LINGER_BYTES = 16 * 1024 * 1024
/** Each piece of a body counts as at least this much: a chunk of one byte costs as much to handle. */
const LEAST_PIECE_BYTES = 4096
const CHECK_EVERY_MS = 100
/** A body of at most this size is read to its end, so that the connection can be used again. */
const SMALL_BODY_BYTES = 64 * 1024

/**
 * Responds with a problem document. A client that is still sending would lose the response if the connection ended
 * now, so its bytes are drained first. A client that waits for `100 Continue` sends none.
 */
export function sendError(exchange: Exchange, error: unknown): void {
  const { req, res, requestId } = exchange
  const problem = describeProblem(error, requestId)
  const body = JSON.stringify(problem)
  const headers = problemHeaders(error)
  if (req.complete || exchange.draining || exchange.awaitsContinue || isSmall(exchange)) {
    return sendText(exchange, problem.status, body, headers)
  }
  headers.push('Connection', 'close')
  res.writeHead(problem.status, exchange.headers('Content-Length', String(Buffer.byteLength(body)), ...headers))
  res.write(body, failure => {
    exchange.respondedEarly = !failure
  })
  drain(exchange, () => res.end())
}

function isSmall({ req }: Exchange): boolean {
  return Number(req.headers['content-length'] ?? Infinity) <= SMALL_BODY_BYTES
}

/** After any response: bounds how long the rest of the body may occupy the connection. */
export function drainRest(exchange: Exchange): void {
  const { req } = exchange
  if (req.complete || req.socket.destroyed || exchange.awaitsContinue || exchange.draining) return
  if (exchange.closed) boundDump(exchange)
  else drain(exchange, complete => complete || req.socket.destroy())
}

const METHODS_WITH_BODY: ReadonlySet<string | undefined> = new Set(['POST', 'PUT'])

/**
 * Discards a body from the beginning where no route takes one. Node would buffer 64 KiB of it while the request
 * waits: in chunks of one byte, 64 thousand objects.
 */
export function dropNeedlessBody(exchange: Exchange): void {
  const { method, headers } = exchange.req
  if (METHODS_WITH_BODY.has(method)) return
  if (headers['transfer-encoding'] === undefined && Number(headers['content-length'] ?? 0) === 0) return
  drain(exchange, complete => complete || exchange.req.socket.destroy())
}

/**
 * Once the response has ended, Node itself discards the rest of the body, without emitting it and without a bound.
 * The byte count of the socket shows how much that is.
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
  }, CHECK_EVERY_MS)
}

/** Reads and discards the rest of the body; `then` learns whether its end was reached. */
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
 * Keeps Node from parsing, chunk by chunk, what the system has received already. Pausing the socket would not: the
 * parser reads the connection itself, and stops only when `push` returns false.
 */
function stopReading(req: Exchange['req']): void {
  req.pause()
  req.push = () => false
}

/**
 * Responds to bytes that are no HTTP request, on the bare connection, and ends it: the bytes that follow could be
 * taken for another request. While a response is being sent, the connection is only cut.
 */
export function sendRawError(socket: Socket, error: NodeJS.ErrnoException): void {
  if (!socket.writable || error.code === 'ECONNRESET' || isResponding(socket)) {
    socket.destroy()
    return
  }
  const malformed = malformedError(error)
  const problem = describeProblem(malformed)
  const body = JSON.stringify(problem)
  const length = String(Buffer.byteLength(body))
  const headers = [...problemHeaders(malformed), 'Content-Length', length, 'Connection', 'close']
  const lines = [`HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status] ?? ''}`]
  for (let index = 0; index < headers.length; index += 2) lines.push(`${headers[index]}: ${headers[index + 1]}`)
  socket.end(`${lines.join('\r\n')}\r\n\r\n${body}`, () => socket.destroySoon())
}

/** Node stores the current response of a connection in this property. */
function isResponding(socket: Socket): boolean {
  return '_httpMessage' in socket && Boolean(socket._httpMessage)
}

function malformedError(error: NodeJS.ErrnoException): SealiftError {
  if (error.code === 'HPE_HEADER_OVERFLOW') {
    return new SealiftError('headers_too_large', 'The request line and headers may have 16 KiB')
  }
  if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT') {
    return new SealiftError('invalid_request', 'The headers did not arrive in time')
  }
  return new SealiftError('invalid_request', 'This is not a well-formed HTTP/1.1 request')
}

import { freeMemory } from '../blobs/free-memory.ts'
import { sendText } from './answers.ts'
import type { Exchange } from './exchange.ts'
import { describeProblem, problemHeaders } from './problems.ts'

/** After a refusal, what the client is still sending is read and thrown away for so long, then the connection ends. */
const LINGER_MS = 5000
const LINGER_BYTES = 16 * 1024 * 1024
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
  if (req.complete || isSmall(exchange)) {
    sendText(exchange, statusOf(error), body, headers)
    return
  }
  if (exchange.awaitsContinue) return sendText(exchange, statusOf(error), body, headers)
  headers.push('Connection', 'close')
  res.writeHead(statusOf(error), exchange.headers('Content-Length', String(Buffer.byteLength(body)), ...headers))
  res.write(body, failure => {
    exchange.answeredEarly = !failure
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
  if (req.complete || exchange.closed || exchange.awaitsContinue || exchange.draining) return
  drain(exchange, complete => complete || req.socket.destroy())
}

/** Reads and forgets the rest of the body; tells `then` whether it reached its end. */
function drain(exchange: Exchange, then: (complete: boolean) => void): void {
  const { req } = exchange
  exchange.draining = true
  let drainedBytes = 0
  const finish = () => {
    clearTimeout(timer)
    req.off('data', count).off('end', finish).off('close', finish)
    then(req.complete)
  }
  const count = (chunk: Buffer) => {
    drainedBytes += chunk.length
    freeMemory(chunk)
    if (drainedBytes > LINGER_BYTES) finish()
  }
  const timer = setTimeout(finish, LINGER_MS)
  req.on('error', () => undefined)
  req.on('data', count).on('end', finish).on('close', finish)
  req.resume()
}

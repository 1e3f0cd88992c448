import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'

import { SealiftError } from '../../protocol/errors.ts'
import { describeProblem, problemHeaders } from './problems.ts'

/**
 * The answer to bytes that are no HTTP request, written to the bare connection, which ends with it: whatever follows
 * on it could be taken for another request. In the middle of an answer the connection is just cut.
 */
export function answerRaw(socket: Socket, error: NodeJS.ErrnoException): void {
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

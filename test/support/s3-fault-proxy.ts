/**
 * An HTTP proxy in front of an S3 service that misbehaves as it is told. It passes requests on as they are, so that
 * their signatures hold: the service must take any host name in path style.
 */
import { once } from 'node:events'
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'

export type S3Call = 'PUT' | 'GET' | 'HEAD' | 'DELETE' | 'LIST'

export type S3Fault =
  /** An error instead of the call. */
  | { readonly how: 'status'; readonly status: number; readonly code: string }
  /** 200 with an error in the body, instead of the call. */
  | { readonly how: 'error-in-200' }
  /** The response to a LIST as it was before there was anything, instead of the call. */
  | { readonly how: 'stale-list' }
  /** The request is taken, the call is not made, no response ever comes. */
  | { readonly how: 'hang' }
  /** The call is made, only so much later. */
  | { readonly how: 'late'; readonly ms: number }
  /** The connection is reset after so many bytes of the request's body. */
  | { readonly how: 'reset-request'; readonly afterBytes: number }
  /**
   * The call is made; after so many bytes of the response's body the connection is reset, or nothing comes any more.
   */
  | { readonly how: 'reset-response' | 'stall-response'; readonly afterBytes: number }
  /** The call is made; the response says it has so many bytes, and has them. */
  | { readonly how: 'short-response'; readonly bytes: number }
  /** The call is made; its response never arrives, the connection is reset. */
  | { readonly how: 'lose-response' }

/** What happens to the `nth` call of its kind, counted from 1, for the object at `path`; `null`: as it should. */
export type S3FaultPlan = (call: S3Call, nth: number, path: string) => S3Fault | null

export interface S3FaultProxy extends AsyncDisposable {
  readonly url: string
  /** May be changed at any time; counting goes on. */
  faults: S3FaultPlan
  /** Calls so far. */
  readonly calls: (call: S3Call) => number
  /** Connections to the proxy that are open and carry a request that was not responded whole. */
  readonly busyConnections: () => number
  resetCounts(): void
}

export async function startS3FaultProxy(target: string): Promise<S3FaultProxy> {
  const counts = new Map<S3Call, number>()
  const busy = new Map<Socket, number>()
  const server = createServer((incoming, outgoing) => {
    busy.set(incoming.socket, (busy.get(incoming.socket) ?? 0) + 1)
    outgoing.on('close', () => busy.set(incoming.socket, (busy.get(incoming.socket) ?? 1) - 1))
    const call = callOf(incoming)
    const nth = (counts.get(call) ?? 0) + 1
    counts.set(call, nth)
    response({ target, incoming, outgoing }, proxy.faults(call, nth, (incoming.url ?? '').replace(/\?.*/, '')))
  })
  server.on('connection', (socket: Socket) => {
    socket.on('error', () => undefined)
    socket.on('close', () => busy.delete(socket))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const proxy: S3FaultProxy = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    faults: () => null,
    calls: call => counts.get(call) ?? 0,
    busyConnections: () => [...busy.values()].filter(requests => requests > 0).length,
    resetCounts: () => counts.clear(),
    async [Symbol.asyncDispose]() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
  return proxy
}

function callOf({ method, url = '' }: IncomingMessage): S3Call {
  if (method === 'GET' && url.includes('list-type=2')) return 'LIST'
  return method as S3Call
}

interface Exchange {
  readonly target: string
  readonly incoming: IncomingMessage
  readonly outgoing: ServerResponse
}

function response(exchange: Exchange, fault: S3Fault | null): void {
  const { incoming } = exchange
  if (fault?.how === 'status') refuse(exchange, fault.status, fault.code)
  else if (fault?.how === 'error-in-200') refuse(exchange, 200, 'InternalError')
  else if (fault?.how === 'stale-list') listNothing(exchange)
  else if (fault?.how === 'hang') incoming.resume()
  else if (fault?.how === 'late') setTimeout(() => passOn(exchange, null), fault.ms)
  else if (fault?.how === 'reset-request')
    afterBytes(incoming, fault.afterBytes, () => incoming.socket.resetAndDestroy())
  else passOn(exchange, fault)
}

function refuse({ incoming, outgoing }: Exchange, status: number, code: string): void {
  incoming.resume()
  incoming.on('end', () => {
    const secret = 'what the service says may hold a signature'
    const body = `<?xml version="1.0"?><Error><Code>${code}</Code><Message>${secret}</Message></Error>`
    outgoing.writeHead(status, { 'content-type': 'application/xml', 'content-length': body.length })
    outgoing.end(incoming.method === 'HEAD' ? undefined : body)
  })
}

function listNothing({ incoming, outgoing }: Exchange): void {
  incoming.resume()
  const [bucket = ''] = /(?<=^\/)[^/?]+/.exec(incoming.url ?? '') ?? []
  const facts = `<Name>${bucket}</Name><KeyCount>0</KeyCount><MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated>`
  outgoing.writeHead(200, { 'content-type': 'application/xml' })
  outgoing.end(`<?xml version="1.0"?><ListBucketResult>${facts}</ListBucketResult>`)
}

function passOn({ target, incoming, outgoing }: Exchange, fault: S3Fault | null): void {
  const { hostname, port } = new URL(target)
  const { method, url: path, headers } = incoming
  const upstream = request({ hostname, port, method, path, headers }, responded => {
    responded.on('error', () => incoming.socket.resetAndDestroy())
    deliver(responded, { incoming, outgoing }, fault)
  })
  upstream.on('error', () => incoming.socket.resetAndDestroy())
  outgoing.on('close', () => upstream.destroy())
  incoming.pipe(upstream)
}

function deliver(
  responded: IncomingMessage,
  { incoming, outgoing }: Pick<Exchange, 'incoming' | 'outgoing'>,
  fault: S3Fault | null,
): void {
  const { statusCode = 502, headers } = responded
  const reset = (): void => void incoming.socket.resetAndDestroy()
  if (fault?.how === 'lose-response') return void responded.resume().on('end', reset)
  if (fault?.how === 'short-response') {
    const { 'transfer-encoding': _, ...kept } = headers
    outgoing.writeHead(statusCode, { ...kept, 'content-length': fault.bytes })
    return afterBytes(responded, fault.bytes, bytes => outgoing.end(bytes))
  }
  outgoing.writeHead(statusCode, headers)
  if (fault?.how === 'reset-response') afterBytes(responded, fault.afterBytes, bytes => outgoing.write(bytes, reset))
  else if (fault?.how === 'stall-response') afterBytes(responded, fault.afterBytes, bytes => stall(bytes))
  else responded.pipe(outgoing)

  // An response that was there whole by then has nothing left to wait for.
  function stall(bytes: Buffer): void {
    if (responded.readableEnded) outgoing.end(bytes)
    else outgoing.write(bytes)
  }
}

/** Gathers the first `count` bytes; `act` is called once with them, or with what there was at the end. */
function afterBytes(source: IncomingMessage, count: number, act: (bytes: Buffer) => void): void {
  const taken: Buffer[] = []
  let length = 0
  let acted = false
  const strike = (): void => {
    if (acted) return
    acted = true
    act(Buffer.concat(taken).subarray(0, count))
  }
  source.on('data', (bytes: Buffer) => {
    taken.push(bytes)
    length += bytes.length
    if (length >= count) strike()
  })
  source.on('end', strike)
}

/** A TCP proxy that misbehaves as it is told: cuts connections mid-body, delays, is idle; and counts what passes. */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

export interface FlakyProxy extends AsyncDisposable {
  readonly url: string
  /** Where connections go from now on: for a server that was started anew. */
  target: string
  /** How a new connection will end; `null`: as its peers wish. */
  faults: FaultPlan | null
  /** Added to every piece of bytes, each way. */
  delayMs: number
  /** First lines of the requests so far, such as `PUT /v1/uploads/…/parts/3 HTTP/1.1`. */
  readonly requests: string[]
  /** Responses so far that say of a request that it is done and that there is nothing to tell, as those to parts do. */
  readonly doneResponses: () => number
  readonly sentBytes: () => number
  readonly receivedBytes: () => number
  /** Connections that were cut so far. */
  readonly cuts: () => number
  resetCounts(): void
  /** Cuts every connection that is open. */
  cutAll(): void
}

/** What happens to connection number `index`, counted from 0. */
export type FaultPlan = (index: number) => Fault | null

export interface Fault {
  /** Which way the bytes are counted. */
  readonly way: 'up' | 'down'
  readonly afterBytes: number
  /** `cut`: the connection is reset; `stall`: nothing passes any more, and nobody is told. */
  readonly how: 'cut' | 'stall'
}

const DONE_LINE = /(?:^|\n)HTTP\/1\.1 204 /g
const REQUEST_LINE = /(?:^|\n)((?:GET|PUT|POST|DELETE|HEAD) \/\S* HTTP\/1\.1)\r\n/g

export async function startFlakyProxy(target: string): Promise<FlakyProxy> {
  const sockets = new Set<Socket>()
  const counts = { sent: 0, received: 0, cuts: 0, done: 0, connections: 0 }
  const server = createServer(client => {
    const { hostname, port } = new URL(proxy.target)
    const upstream = connect(Number(port), hostname, () => client.resume())
    // What nobody takes has not been sent.
    client.pause()
    const fault = proxy.faults?.(counts.connections) ?? null
    counts.connections += 1
    const end = (): void => {
      client.destroy()
      upstream.destroy()
    }
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.setNoDelay(true)
      // Pieces that were delayed may come while one is still being taken.
      socket.setMaxListeners(0)
      socket.on('error', end)
      socket.on('close', () => {
        sockets.delete(socket)
        end()
      })
    }
    const gate = new Gate(fault, () => {
      counts.cuts += 1
      client.resetAndDestroy()
      upstream.destroy()
    })
    client.on('data', bytes => {
      for (const match of bytes.toString('latin1').matchAll(REQUEST_LINE)) proxy.requests.push(match[1] ?? '')
    })
    upstream.on('data', bytes => (counts.done += [...bytes.toString('latin1').matchAll(DONE_LINE)].length))
    pass({ from: client, to: upstream, count: bytes => (counts.sent += bytes), gate, way: 'up' }, proxy)
    pass({ from: upstream, to: client, count: bytes => (counts.received += bytes), gate, way: 'down' }, proxy)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const proxy: FlakyProxy = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    target,
    faults: null,
    delayMs: 0,
    requests: [],
    doneResponses: () => counts.done,
    sentBytes: () => counts.sent,
    receivedBytes: () => counts.received,
    cuts: () => counts.cuts,
    resetCounts() {
      Object.assign(counts, { sent: 0, received: 0, cuts: 0, done: 0 })
      proxy.requests.length = 0
    },
    cutAll() {
      for (const socket of sockets) socket.destroy()
    },
    async [Symbol.asyncDispose]() {
      proxy.cutAll()
      server.close()
      await once(server, 'close')
    },
  }
  return proxy
}

/** Lets bytes of a connection pass until its fault strikes. */
class Gate {
  readonly #fault: Fault | null
  readonly #cut: () => void
  #passed = 0
  #closed = false

  constructor(fault: Fault | null, cut: () => void) {
    this.#fault = fault
    this.#cut = cut
  }

  /** How many of `bytes` may pass. */
  admit(way: 'up' | 'down', bytes: number): number {
    if (this.#closed) return 0
    if (this.#fault?.way !== way) return bytes
    const admitted = Math.min(bytes, this.#fault.afterBytes - this.#passed)
    this.#passed += admitted
    if (admitted < bytes) this.#closed = true
    return admitted
  }

  /** After what was admitted is in flight. */
  strike(): void {
    if (this.#closed && this.#fault?.how === 'cut') this.#cut()
  }
}

interface Passing {
  readonly from: Socket
  readonly to: Socket
  readonly gate: Gate
  readonly way: 'up' | 'down'
  readonly count: (bytes: number) => void
}

function pass({ from, to, gate, way, count }: Passing, proxy: FlakyProxy): void {
  const forward = (bytes: Buffer): void => {
    if (to.destroyed) return
    const admitted = gate.admit(way, bytes.byteLength)
    count(admitted)
    if (admitted > 0 && !to.write(bytes.subarray(0, admitted))) {
      from.pause()
      to.once('drain', () => from.resume())
    }
    gate.strike()
  }
  // As on a wire, nothing overtakes what came before it, also when the delay has become shorter meanwhile.
  const waiting: (() => void)[] = []
  const later = (act: () => void): void => {
    if (proxy.delayMs <= 0 && waiting.length === 0) return act()
    waiting.push(act)
    setTimeout(() => waiting.shift()?.(), proxy.delayMs)
  }
  from.on('data', (bytes: Buffer) => later(() => forward(bytes)))
  from.on('end', () => later(() => to.end()))
}

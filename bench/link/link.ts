import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'

import { LOOPBACK } from '../net.ts'
import { startService } from '../processes.ts'

export interface LinkOptions {
  readonly targetPort: number
  readonly roundTripMs: number
  /** Each way. */
  readonly megabitsPerSecond: number
}

export interface Link extends AsyncDisposable {
  /** Where to connect instead of the target. */
  readonly origin: string
  /** Bytes that came out of it so far. */
  carried(): Promise<{ readonly up: number; readonly down: number }>
}

/** Puts a long line, a process of its own, in front of a port. */
export async function startLink({ targetPort, roundTripMs, megabitsPerSecond }: LinkOptions): Promise<Link> {
  const script = join(import.meta.dirname, 'proxy.ts')
  const args = [script, String(targetPort), String(roundTripMs), String(megabitsPerSecond)]
  const service = await startService({ command: process.execPath, args }, started => started.line(/listening on (\S+)/))
  const carried = async (): ReturnType<Link['carried']> => {
    const said = service.line(/carried up=(\d+) down=(\d+)/)
    process.kill(service.pid, 'SIGUSR2')
    const [, up, down] = await said
    return { up: Number(up), down: Number(down) }
  }
  return { ...service, origin: service.found[1] ?? '', carried }
}

export interface LinkQuality {
  readonly roundTripMs: number
  readonly megabitsPerSecondUp: number
  readonly megabitsPerSecondDown: number
}

const ECHOES = 10
const BULK_SECONDS = 2

/** What a line of these options really does, measured between two plain sockets. */
export async function measureLink(options: Omit<LinkOptions, 'targetPort'>): Promise<LinkQuality> {
  const bulkBytes = Math.round((options.megabitsPerSecond * 1e6 * BULK_SECONDS) / 8)
  const server = createServer({ allowHalfOpen: true }, socket => serveProbe(socket, bulkBytes))
  await using link = await startLink({ ...options, targetPort: await listen(server) })
  try {
    return {
      roundTripMs: await measureRoundTrip(link),
      megabitsPerSecondUp: await measureUp(link, bulkBytes),
      megabitsPerSecondDown: await measureDown(link, bulkBytes),
    }
  } finally {
    server.close()
  }
}

async function listen(server: Server): Promise<number> {
  await once(server.listen(0, LOOPBACK), 'listening')
  const address = server.address()
  return address !== null && typeof address !== 'string' ? address.port : 0
}

/** `e`: echoes every byte; `u`: receives bulk bytes and reports their rate; `d`: sends bulk. */
function serveProbe(socket: Socket, bulkBytes: number): void {
  socket.on('error', () => socket.destroy())
  socket.once('data', first => {
    const kind = String.fromCharCode(first[0] ?? 0)
    socket.pause()
    socket.unshift(first.subarray(1))
    if (kind === 'e') socket.pipe(socket)
    if (kind === 'd') socket.end(Buffer.alloc(bulkBytes))
    if (kind === 'u') void steadyRate(socket, bulkBytes).then(rate => socket.end(String(rate)))
  })
}

/** Megabits per second of the second half of the bytes: the first has the greeting and the growing window in it. */
async function steadyRate(socket: Socket, bulkBytes: number): Promise<number> {
  let received = 0
  let half = { at: 0, received: 0 }
  for await (const bytes of socket.iterator({ destroyOnReturn: false })) {
    received += (bytes as Buffer).length
    if (half.at === 0 && received >= bulkBytes / 2) half = { at: performance.now(), received }
    if (received >= bulkBytes) break
  }
  if (received !== bulkBytes) throw new Error(`The line lost bytes: ${received} of ${bulkBytes} came.`)
  return ((received - half.received) * 8) / 1e3 / (performance.now() - half.at)
}

function open(link: Link): Socket {
  return connect({ port: Number(new URL(link.origin).port), host: LOOPBACK, noDelay: true })
}

async function measureRoundTrip(link: Link): Promise<number> {
  const socket = open(link)
  socket.write('e')
  const times: number[] = []
  for (let index = 0; index < ECHOES; index++) {
    // The first echo also pays for the greeting.
    const began = performance.now()
    socket.write('.')
    await once(socket, 'data')
    if (index > 0) times.push(performance.now() - began)
  }
  socket.destroy()
  return times.reduce((sum, each) => sum + each, 0) / times.length
}

async function measureDown(link: Link, bulkBytes: number): Promise<number> {
  const socket = open(link)
  socket.write('d')
  const rate = await steadyRate(socket, bulkBytes)
  socket.destroy()
  return rate
}

async function measureUp(link: Link, bulkBytes: number): Promise<number> {
  const socket = open(link)
  socket.write('u')
  socket.write(Buffer.alloc(bulkBytes))
  let said = ''
  for await (const bytes of socket) said += String(bytes)
  return Number(said)
}

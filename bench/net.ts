import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

export const LOOPBACK = '127.0.0.1'
const POLL_MS = 20
const READY_WITHIN_MS = 10_000

/** A free loopback port, for servers that cannot choose one themselves. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, LOOPBACK)
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('The loopback listener has no port.')
  return address.port
}

/** Resolves when something listens on the port. */
export async function untilListening(port: number): Promise<void> {
  for (let waitedMs = 0; waitedMs < READY_WITHIN_MS; waitedMs += POLL_MS) {
    if (await listens(port)) return
    await sleep(POLL_MS)
  }
  throw new Error(`Nothing listens on port ${port} after ${READY_WITHIN_MS} ms.`)
}

async function listens(port: number): Promise<boolean> {
  const socket = connect(port, LOOPBACK)
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}

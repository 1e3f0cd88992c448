/** A proxy before PostgreSQL that breaks the connection at the worst moment: around a commit. */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

/**
 * What happens to a commit. `request lost`: the commit never reaches the server. `response lost`: the server commits,
 * but the client receives no response. `cut`: the connection ends while the commit is in flight.
 */
export type CommitFault = 'request lost' | 'response lost' | 'cut'

export interface CommitProxy extends AsyncDisposable {
  /** The same database, through the proxy. */
  readonly url: string
  /** Asked at every commit; `null`: nothing happens to it. */
  fault: () => CommitFault | null
}

/** The end of the message by which the driver asks for a commit. */
const COMMIT = Buffer.from('commit\0')

export async function startCommitProxy(url: string): Promise<CommitProxy> {
  const target = new URL(url)
  const sockets = new Set<Socket>()
  const server = createServer(client => {
    const upstream = connect(Number(target.port), target.hostname)
    let mute = false
    const end = (): void => {
      client.destroy()
      upstream.destroy()
    }
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.setNoDelay(true)
      socket.on('error', end)
      socket.on('close', () => {
        sockets.delete(socket)
        end()
      })
    }
    client.on('data', bytes => {
      const fault = bytes.includes(COMMIT) ? proxy.fault() : null
      if (fault === 'request lost') return end()
      mute = fault === 'response lost'
      upstream.write(bytes)
      if (fault === 'cut') upstream.end(() => client.destroy())
    })
    upstream.on('data', bytes => {
      if (mute) end()
      else client.write(bytes)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const through = new URL(url)
  through.port = String((server.address() as AddressInfo).port)
  const proxy: CommitProxy = {
    url: through.href,
    fault: () => null,
    async [Symbol.asyncDispose]() {
      server.close()
      for (const socket of sockets) socket.destroy()
      await once(server, 'close')
    },
  }
  return proxy
}

/** A load balancer of the simplest kind: connections go to the servers in turn, bytes pass as they are. */
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import type { AddressInfo } from 'node:net'

export interface Balancer extends AsyncDisposable {
  readonly url: string
}

/** `targets` is asked for each connection, so that servers may come and go. */
export async function startBalancer(targets: () => readonly string[]): Promise<Balancer> {
  const sockets = new Set<Socket>()
  let turn = 0
  const server = createServer({ allowHalfOpen: true }, client => {
    const all = targets()
    const target = new URL(all[turn % all.length] ?? 'http://127.0.0.1:9')
    turn += 1
    const behind = connect({ host: target.hostname, port: Number(target.port), allowHalfOpen: true })
    join(client, behind)
    join(behind, client)
    for (const socket of [client, behind]) {
      sockets.add(socket)
      socket.once('close', () => sockets.delete(socket))
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

/** A broken connection breaks the other one: a cut must be seen as a cut. */
function join(from: Socket, to: Socket): void {
  from.setNoDelay(true)
  from.pipe(to)
  from.on('error', () => to.resetAndDestroy())
  from.on('close', hadError => {
    if (hadError || !from.readableEnded) to.destroy()
  })
}

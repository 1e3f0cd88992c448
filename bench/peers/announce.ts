import type { Server } from 'node:net'

/** Prints the address of a server once it listens, and ends the process on SIGTERM. */
export function announce(server: Server): void {
  server.on('listening', () => {
    const address = server.address()
    if (address !== null && typeof address !== 'string') console.log(`listening on http://127.0.0.1:${address.port}`)
  })
  process.once('SIGTERM', () => process.exit(0))
}

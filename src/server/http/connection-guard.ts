import type { Socket } from 'node:net'

import { clientNetwork, normaliseAddress } from '../access/client-address.ts'

export interface ConnectionGuardOptions {
  readonly terms: () => { readonly maxConnectionsPerAddress: number }
  readonly isTrustedProxy: (address: string) => boolean
}

/** Counts open connections of each address; one too many is closed before it says a word. */
export class ConnectionGuard {
  readonly #options: ConnectionGuardOptions
  readonly #open = new Map<string, number>()

  constructor(options: ConnectionGuardOptions) {
    this.#options = options
  }

  admit(socket: Socket): void {
    const address = normaliseAddress(socket.remoteAddress)
    if (address === null || this.#options.isTrustedProxy(address)) return
    const { maxConnectionsPerAddress } = this.#options.terms()
    const network = clientNetwork(address)
    const open = (this.#open.get(network) ?? 0) + 1
    if (maxConnectionsPerAddress > 0 && open > maxConnectionsPerAddress) {
      socket.destroy()
      return
    }
    this.#open.set(network, open)
    socket.once('close', () => this.#forget(network))
  }

  #forget(network: string): void {
    const open = (this.#open.get(network) ?? 1) - 1
    if (open === 0) this.#open.delete(network)
    else this.#open.set(network, open)
  }
}

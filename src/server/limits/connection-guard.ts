/** Connections of one address at once, so that nobody can take all there are. */
import { clientNetwork, normaliseAddress } from '../access/client-address.ts'
import type { ProxyTrust } from '../access/proxy-trust.ts'
import type { LiveConfig } from '../config/live-config.ts'

export interface ConnectionGuard {
  /** Counts a new connection; dispose the result when it closes. `null`: this address has too many, end it at once. */
  admit(peerAddress: string | undefined): Disposable | null
  /** Addresses that have a connection. */
  readonly addresses: number
}

const UNCOUNTED: Disposable = { [Symbol.dispose]: () => undefined }

/** A trusted proxy carries everybody, so it is not counted; an IPv6 client owns its whole /64. */
export function createConnectionGuard(options: { live: LiveConfig; proxies: ProxyTrust }): ConnectionGuard {
  const counts = new Map<string, number>()
  return {
    get addresses() {
      return counts.size
    },
    admit(peerAddress) {
      const cap = options.live.current.listen.maxConnectionsPerAddress
      const address = normaliseAddress(peerAddress)
      if (cap === 0 || (address !== null && options.proxies.trusts(address))) return UNCOUNTED
      const network = address === null ? 'unknown' : clientNetwork(address)
      const count = counts.get(network) ?? 0
      if (count >= cap) return null
      counts.set(network, count + 1)
      return releaseOnce(counts, network)
    },
  }
}

function releaseOnce(counts: Map<string, number>, network: string): Disposable {
  let open = true
  return {
    [Symbol.dispose]() {
      if (!open) return
      open = false
      const left = (counts.get(network) ?? 1) - 1
      if (left > 0) counts.set(network, left)
      else counts.delete(network)
    },
  }
}

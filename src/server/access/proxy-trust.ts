import { BlockList, isIPv6 } from 'node:net'

import type { LiveConfig } from '../config/live-config.ts'

/** Knows which addresses are proxies that tell the truth. */
export interface ProxyTrust {
  /** `address` in its one spelling (`normaliseAddress`). */
  trusts(address: string): boolean
}

const NAMED_NETWORKS: Readonly<Record<string, readonly string[]>> = {
  loopback: ['127.0.0.0/8', '::1/128'],
  private: ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '169.254.0.0/16', 'fc00::/7', 'fe80::/10'],
}

/** Trust by the `listen.trustedProxies` in force. */
export function createProxyTrust(live: LiveConfig): ProxyTrust {
  let entries: readonly string[] | null = null
  let networks = new BlockList()
  return {
    trusts(address) {
      const { trustedProxies } = live.current.listen
      if (entries !== trustedProxies) {
        networks = networksOf(trustedProxies)
        entries = trustedProxies
      }
      return trustedProxies.length > 0 && networks.check(address, familyOf(address))
    },
  }
}

function networksOf(entries: readonly string[]): BlockList {
  const networks = new BlockList()
  for (const entry of entries.flatMap(name => NAMED_NETWORKS[name] ?? [name])) {
    const [address = '', bits] = entry.split('/')
    if (bits === undefined) networks.addAddress(address, familyOf(address))
    else networks.addSubnet(address, Number(bits), familyOf(address))
  }
  return networks
}

function familyOf(address: string): 'ipv4' | 'ipv6' {
  return isIPv6(address) ? 'ipv6' : 'ipv4'
}

/** Which address a request is counted under. */
import { BlockList, isIPv4, isIPv6 } from 'node:net'

import type { LiveConfig } from '../config/live-config.ts'

/** Request headers as Node gives them: names in lower case. */
export type RequestHeaders = Readonly<Record<string, string | readonly string[] | undefined>>

/**
 * One spelling for each address: IPv4 also when it is mapped into IPv6, IPv6 in its shortest form without a zone.
 * `null` for anything else.
 */
export function normaliseAddress(text: string | undefined): string | null {
  if (text === undefined) return null
  if (isIPv4(text)) return text
  const [plain = ''] = text.split('%')
  if (!isIPv6(plain)) return null
  const canonical = new URL(`http://[${plain}]`).hostname.slice(1, -1)
  const mapped = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(canonical)
  return mapped ? mappedAddress(Number.parseInt(mapped[1] ?? '', 16), Number.parseInt(mapped[2] ?? '', 16)) : canonical
}

function mappedAddress(high: number, low: number): string {
  return [high >> 8, high & 255, low >> 8, low & 255].join('.')
}

/** What counts as one client: an IPv4 address, or the /64 network of an IPv6 one, since a single host has all of it. */
export function clientNetwork(address: string): string {
  if (!address.includes(':')) return address
  const [head = '', tail] = address.split('::')
  const first = head === '' ? [] : head.split(':')
  const last = tail ? tail.split(':') : []
  const zeros = tail === undefined ? 0 : 8 - first.length - last.length
  const groups = [...first, ...Array.from({ length: zeros }, () => '0'), ...last]
  return `${groups.slice(0, 4).join(':')}::/64`
}

/** True for an address (in its one spelling) of this machine. */
export function isLoopbackAddress(address: string): boolean {
  return address === '::1' || address.startsWith('127.')
}

/** Headers that tell that a request came through somebody else's hands. */
const FORWARDING_HEADERS = ['x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto', 'x-real-ip', 'forwarded', 'via']

export function isForwarded(headers: RequestHeaders): boolean {
  return FORWARDING_HEADERS.some(name => headers[name] !== undefined)
}

/**
 * True when the request was addressed to this machine by a name of its own, and not by a page from elsewhere: a browser
 * tells the page in Origin, and a foreign name that was made to resolve to this machine in Host.
 */
export function namesThisMachine(headers: RequestHeaders): boolean {
  const { host, origin } = headers
  return isOwnName(host === undefined ? undefined : `http://${String(host)}`) && isOwnName(origin)
}

function isOwnName(url: string | readonly string[] | undefined): boolean {
  if (url === undefined) return true
  const name = URL.parse(String(url))?.hostname.replace(/^\[|\]$/g, '')
  return name === 'localhost' || (name !== undefined && isLoopbackAddress(normaliseAddress(name) ?? ''))
}

/** Entries of X-Forwarded-For that are looked at, from the right. */
const MAX_HOPS = 16

/**
 * The client's address: that of the peer, or, while that is a trusted proxy, the one it was given, read from the right
 * of X-Forwarded-For up to the first address that is not a trusted proxy. What stands left of it anyone can have written.
 * @returns `null` when not even the peer is known
 */
export function clientAddress(
  peerAddress: string | undefined,
  headers: RequestHeaders,
  proxies: ProxyTrust,
): string | null {
  let address = normaliseAddress(peerAddress)
  if (address === null || !proxies.trusts(address)) return address
  for (const hop of forwardedHops(headers)) {
    const earlier = normaliseAddress(withoutPort(hop))
    if (earlier === null) return address
    address = earlier
    if (!proxies.trusts(address)) return address
  }
  return address
}

function forwardedHops(headers: RequestHeaders): string[] {
  const header = headers['x-forwarded-for']
  const text = typeof header === 'object' ? header.join(',') : (header ?? '')
  return text
    .split(',')
    .slice(-MAX_HOPS)
    .map(hop => hop.trim())
    .filter(hop => hop !== '')
    .toReversed()
}

/** `1.2.3.4:5678` and `[2001:db8::1]:5678` as some proxies write them. */
function withoutPort(hop: string): string {
  const match = /^(?:\[([^\]]+)\]|(\d+\.\d+\.\d+\.\d+))(?::\d{1,5})?$/.exec(hop)
  return match?.[1] ?? match?.[2] ?? hop
}

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

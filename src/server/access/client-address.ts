/** The client IP address of a request, behind trusted proxies too. */
import { BlockList, isIPv4, isIPv6 } from 'node:net'

import type { LiveConfig } from '../config/live-config.ts'

/** Request headers as Node gives them: names in lower case. */
export type RequestHeaders = Readonly<Record<string, string | readonly string[] | undefined>>

/**
 * The canonical form of an IP address: mapped IPv6 becomes IPv4, IPv6 is in its shortest form without a zone. `null`
 * for anything else.
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

/** What counts as one client: an IPv4 address, or the /64 network of an IPv6 address, which a single host may own. */
export function clientNetwork(address: string): string {
  if (!address.includes(':')) return address
  const [head = '', tail] = address.split('::')
  const first = head === '' ? [] : head.split(':')
  const last = tail ? tail.split(':') : []
  const zeros = tail === undefined ? 0 : 8 - first.length - last.length
  const groups = [...first, ...Array.from({ length: zeros }, () => '0'), ...last]
  return `${groups.slice(0, 4).join(':')}::/64`
}

/** `address` in its canonical form. */
export function isLoopbackAddress(address: string): boolean {
  return address === '::1' || address.startsWith('127.')
}

/** Headers that proxies add. */
const FORWARDING_HEADERS = ['x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto', 'x-real-ip', 'forwarded', 'via']

export function isForwarded(headers: RequestHeaders): boolean {
  return FORWARDING_HEADERS.some(name => headers[name] !== undefined)
}

/**
 * True when `Host` and `Origin` name this machine. A browser sends the origin of a foreign page in `Origin`, and a
 * foreign name that resolves to this machine (DNS rebinding) in `Host`.
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

/** Entries of X-Forwarded-For that are read, from the right. */
const MAX_HOPS = 16

/**
 * The address of the peer; behind trusted proxies the first address in X-Forwarded-For, from the right, that is not a
 * trusted proxy. Entries further left may be forged.
 * @returns `null` when the peer is unknown
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

/** The proxies whose X-Forwarded-For is believed. */
export interface ProxyTrust {
  /** `address` in its canonical form (`normaliseAddress`). */
  trusts(address: string): boolean
}

const NAMED_NETWORKS: Readonly<Record<string, readonly string[]>> = {
  loopback: ['127.0.0.0/8', '::1/128'],
  private: ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '169.254.0.0/16', 'fc00::/7', 'fe80::/10'],
}

/** Follows reloads of `listen.trustedProxies`. */
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

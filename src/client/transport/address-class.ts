/**
 * How private the network of an IP address is. A server names the URL of its store, and must not reach through a client
 * what only the client can reach: its own machine, its network, the metadata service of its cloud.
 */
export type AddressClass = 'loopback' | 'private' | 'public'

const NEARNESS: Readonly<Record<AddressClass, number>> = { loopback: 0, private: 1, public: 2 }

export function isNearer(address: AddressClass, than: AddressClass): boolean {
  return NEARNESS[address] < NEARNESS[than]
}

type Block = readonly [network: string, bits: number]

const LOOPBACK_4: readonly Block[] = [
  ['0.0.0.0', 8],
  ['127.0.0.0', 8],
]

/** Addresses that are not routed on the internet (IANA special-purpose registry), and a cloud's metadata service. */
const PRIVATE_4: readonly Block[] = [
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['168.63.129.16', 32],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 3],
]

/** Prefixes of addresses that hold an IPv4 address: where it stands, in groups of 16 bits. */
const EMBEDDING: readonly (readonly [prefix: readonly number[], at: number])[] = [
  [[0, 0, 0, 0, 0, 0xffff], 6],
  [[0, 0, 0, 0, 0xffff, 0], 6],
  [[0x64, 0xff9b, 0, 0, 0, 0], 6],
  [[0x2002], 1],
]

/** @param address as of sockets and `URL`: brackets and a zone are ignored. @returns `null` for what is no address */
export function addressClass(address: string): AddressClass | null {
  const bare = address.replace(/^\[|\]$/g, '').replace(/%.*$/, '')
  const number = ipv4Number(bare)
  if (number !== null) return ipv4Class(number)
  const groups = ipv6Groups(bare)
  return groups && ipv6Class(groups)
}

function ipv4Class(number: number): AddressClass {
  const isIn = ([network, bits]: Block): boolean =>
    Math.floor(number / 2 ** (32 - bits)) === Math.floor((ipv4Number(network) ?? -1) / 2 ** (32 - bits))
  if (LOOPBACK_4.some(isIn)) return 'loopback'
  return PRIVATE_4.some(isIn) ? 'private' : 'public'
}

function ipv6Class(groups: readonly number[]): AddressClass {
  // `::` is this machine when it is connected to; both may also be written as an old IPv4-compatible address.
  if (groups.slice(0, 6).every(group => group === 0))
    return ipv4Class(embedded(groups, 6)) === 'public' ? 'private' : 'loopback'
  for (const [prefix, at] of EMBEDDING)
    if (prefix.every((group, index) => groups[index] === group)) return ipv4Class(embedded(groups, at))
  const first = groups[0] ?? 0
  // 2000::/3 is all that is routed; documentation and Teredo lie in it.
  const isRouted = first >> 13 === 1 && !(first === 0x2001 && ((groups[1] ?? 0) === 0xdb8 || (groups[1] ?? 0) === 0))
  return isRouted ? 'public' : 'private'
}

function embedded(groups: readonly number[], at: number): number {
  return (groups[at] ?? 0) * 0x1_0000 + (groups[at + 1] ?? 0)
}

function ipv4Number(text: string): number | null {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text)
  const bytes = match?.slice(1).map(Number) ?? []
  if (bytes.length !== 4 || bytes.some(byte => byte > 255)) return null
  return bytes.reduce((number, byte) => number * 256 + byte, 0)
}

/** Eight groups of 16 bits. */
function ipv6Groups(text: string): readonly number[] | null {
  if (!/^[0-9a-f:.]*:[0-9a-f:.]*$/i.test(text) || !URL.canParse(`http://[${text}]`)) return null
  // `URL` writes every spelling in one way, and the IPv4 form at the end as groups.
  const [left = '', right] = new URL(`http://[${text}]`).hostname.slice(1, -1).split('::')
  const groupsOf = (part: string): number[] => (part === '' ? [] : part.split(':').map(group => parseInt(group, 16)))
  if (right === undefined) return groupsOf(left)
  const [before, after] = [groupsOf(left), groupsOf(right)]
  return [...before, ...Array.from({ length: 8 - before.length - after.length }, () => 0), ...after]
}

/**
 * Which user of this machine has made a connection over loopback. The secret of a gateway is in the arguments of the
 * player, which every user can read on most systems.
 */
import { readFile } from 'node:fs/promises'
import type { Socket } from 'node:net'

/** Sockets for IPv4, then those for IPv6, which reach 127.0.0.1 too. */
const TABLES = ['/proc/self/net/tcp', '/proc/self/net/tcp6']

interface Ports {
  readonly ours: number
  readonly theirs: number
}

/**
 * Whether the peer of a loopback connection is a process of this user, or of root, who can read everything anyway. True
 * where the system has no table of connections, which is anywhere but on Linux.
 */
export async function isOwnPeer({ localPort, remotePort }: Pick<Socket, 'localPort' | 'remotePort'>): Promise<boolean> {
  const own = process.geteuid?.()
  if (own === undefined || localPort === undefined || remotePort === undefined) return true
  const tables = await Promise.all(TABLES.map(table => readFile(table, 'latin1').catch(() => '')))
  const users = peerUsers(tables.join('\n'), { ours: localPort, theirs: remotePort })
  return users === null || users.some(user => user === own || user === 0)
}

/**
 * The users of the other end of a connection, by the kernel's table.
 * @returns `null` when the table does not hold our end either, so that it says nothing
 */
export function peerUsers(table: string, { ours, theirs }: Ports): readonly number[] | null {
  const rows = table.split('\n').flatMap(line => {
    const [, local = '', remote = '', , , , , user = ''] = line.trim().split(/\s+/)
    if (!isLoopback(local) || !isLoopback(remote)) return []
    return { local: portOf(local), remote: portOf(remote), user: Number(user) }
  })
  if (!rows.some(({ local, remote }) => local === ours && remote === theirs)) return null
  return rows.filter(({ local, remote }) => local === theirs && remote === ours).map(({ user }) => user)
}

/** 127.0.0.1 as the kernel writes it, in either byte order, also mapped into IPv6. */
function isLoopback(address: string): boolean {
  return /^(?:0{16}(?:FFFF0000|0000FFFF))?(?:0100007F|7F000001):/.test(address)
}

function portOf(address: string): number {
  return Number.parseInt(address.slice(address.indexOf(':') + 1), 16)
}

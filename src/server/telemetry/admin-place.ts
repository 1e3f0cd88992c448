/** Where the admin listener is, and the names by which it may be called. */
import { isIP } from 'node:net'

import { isLoopbackAddress, normaliseAddress } from '../access/client-address.ts'
import { isLoopbackHost } from '../config/cross-checks.ts'
import type { ServerConfig } from '../config/schema.ts'

export const DEFAULT_ADMIN_PORT = 7326

export interface AdminPlace {
  readonly host: string
  /** 0: any free one. */
  readonly port: number
  /** Takes any free port where `port` is in use: nobody has chosen it. */
  readonly mayMove: boolean
  /** Names in `Host` beside localhost and addresses. */
  readonly hosts: readonly string[]
  readonly backlog: number
}

/** The admin listener that a configuration asks for. */
export function adminPlace({ admin, listen }: Pick<ServerConfig, 'admin' | 'listen'>): AdminPlace {
  const { host, hosts } = admin
  const { backlog } = listen
  if (admin.port !== null) return { host, hosts, backlog, port: admin.port, mayMove: false }
  return { host, hosts, backlog, port: listen.port === DEFAULT_ADMIN_PORT ? 0 : DEFAULT_ADMIN_PORT, mayMove: true }
}

/**
 * Whether a request names this listener in `Host`. A page that makes its own name resolve to this machine (DNS rebinding)
 * sends that name; it cannot send an address. Without the header (HTTP/1.0) no browser asks.
 */
export function isOwnHost({ host, hosts }: Pick<AdminPlace, 'host' | 'hosts'>, header: string | undefined): boolean {
  if (header === undefined) return true
  const name = URL.parse(`http://${header}`)?.hostname.replace(/^\[|\]$/g, '')
  if (name === undefined) return false
  if (name === 'localhost' || hosts.some(each => each.toLowerCase() === name)) return true
  if (isIP(name) === 0) return false
  return !isLoopbackHost(host) || isLoopbackAddress(normaliseAddress(name) ?? '')
}

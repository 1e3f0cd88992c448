/** Which pool of connections a request takes: straight or through a proxy, to a server or to its store. */
import { lookup as systemLookup } from 'node:dns'
import type { LookupAddress } from 'node:dns'
import { isIP } from 'node:net'
import type { LookupFunction, Socket } from 'node:net'
import { Agent, buildConnector, EnvHttpProxyAgent } from 'undici'
import type { Dispatcher } from 'undici'

import { SealiftError } from '../../../protocol/errors.ts'
import { isLoopback } from '../../link.ts'
import { addressClass, isNearer } from '../../transport/address-class.ts'
import type { AddressClass } from '../../transport/address-class.ts'
import type { TransportRequest } from '../../transport/transport.ts'

const CONNECT_TIMEOUT_MS = 15_000
/** Shorter than what servers keep idle connections for, so that none is used in the moment it is closed. */
const KEEP_ALIVE_MS = 4_000

export interface ConnectionPoolsOptions {
  readonly connections: number
  readonly lookup?: LookupFunction
  readonly environment?: Readonly<Record<string, string | undefined>>
}

export class ConnectionPools implements AsyncDisposable {
  readonly #connections: number
  readonly #lookup: LookupFunction | undefined
  readonly #proxies: Proxies | null
  readonly #networks = new ServerNetworks()
  readonly #server: Dispatcher
  /** For loopback, which is never reached through a proxy. */
  readonly #here: Dispatcher
  /** By how near they may lead, and whether a proxy may be used. */
  readonly #stores = new Map<string, Dispatcher>()

  constructor({ connections, lookup, environment = process.env }: ConnectionPoolsOptions) {
    this.#connections = connections
    this.#lookup = lookup
    this.#proxies = proxiesOf(environment)
    const connect = recordingConnect(this.#networks, { timeoutMs: CONNECT_TIMEOUT_MS, lookup })
    this.#server = this.#pool(connect, this.#proxies)
    this.#here = this.#proxies ? this.#pool(connect, null) : this.#server
  }

  get usesProxy(): boolean {
    return this.#proxies !== null
  }

  dispatcherFor({ url, noNearerThan }: Pick<TransportRequest, 'url' | 'noNearerThan'>): Dispatcher {
    const { hostname } = new URL(url)
    const isHere = isLoopback(hostname.replace(/\.$/, ''))
    if (noNearerThan === undefined) return isHere ? this.#here : this.#server
    const nearest = this.#networks.of(new URL(noNearerThan).origin)
    return this.#storePool(nearest, isHere)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(Array.from(new Set([this.#server, this.#here, ...this.#stores.values()]), each => each.destroy()))
  }

  #storePool(nearest: AddressClass, isHere: boolean): Dispatcher {
    const key = `${nearest} ${isHere}`
    const known = this.#stores.get(key)
    if (known) return known
    const connect = guardedConnect(nearest, { timeoutMs: CONNECT_TIMEOUT_MS, lookup: this.#lookup })
    const made = this.#pool(connect, isHere ? null : this.#proxies)
    this.#stores.set(key, made)
    return made
  }

  #pool(connect: buildConnector.connector, proxies: Proxies | null): Dispatcher {
    const options = { connections: this.#connections, connect, keepAliveTimeout: KEEP_ALIVE_MS, allowH2: false }
    return proxies ? new EnvHttpProxyAgent({ ...options, ...proxies }) : new Agent(options)
  }
}

interface Proxies {
  readonly httpProxy: string
  readonly httpsProxy: string
  readonly noProxy: string
}

/** As other programs read them: lower case first. `null`: none is set. */
function proxiesOf(environment: NonNullable<ConnectionPoolsOptions['environment']>): Proxies | null {
  const read = (name: string): string => environment[name] ?? environment[name.toUpperCase()] ?? ''
  const [httpProxy, httpsProxy] = [read('http_proxy'), read('https_proxy')]
  return httpProxy === '' && httpsProxy === '' ? null : { httpProxy, httpsProxy, noProxy: read('no_proxy') }
}

/**
 * Connections are checked by the IP address that they lead to, since a name may resolve to anything, and to something
 * else the next time (DNS rebinding). The connection to a store is refused, before a byte is sent, when it leads to a
 * more private network than the connections to its server. See `../../transport/address-class.ts`.
 */
type Connect = buildConnector.connector

export interface ConnectionOptions {
  readonly timeoutMs: number
  /** Resolves names. Default: the system's. */
  readonly lookup?: LookupFunction | undefined
}

/** The most public network that connections to each server have led to. */
export class ServerNetworks {
  readonly #networks = new Map<string, AddressClass>()

  note(origin: string, place: AddressClass): void {
    const known = this.#networks.get(origin)
    if (known === undefined || isNearer(known, place)) this.#networks.set(origin, place)
  }

  /** A server that was reached through a proxy counts as public. */
  of(origin: string): AddressClass {
    return this.#networks.get(origin) ?? 'public'
  }
}

/** Connects to any address, and records its class. */
export function recordingConnect(networks: ServerNetworks, options: ConnectionOptions): Connect {
  const connect = connector(options)
  return (to, done) =>
    connect(to, (error, socket) => {
      if (error) return done(error, null)
      networks.note(new URL(`${to.protocol}//${to.host ?? to.hostname}`).origin, networkOf(socket))
      done(null, socket)
    })
}

/** Refuses addresses in a more private network than `nearest`. */
export function guardedConnect(nearest: AddressClass, options: ConnectionOptions): Connect {
  const connect = connector({ ...options, lookup: judgingLookup(nearest, options.lookup ?? systemLookup) })
  return (to, done) => {
    const literal = isIP(to.hostname) ? addressClass(to.hostname) : null
    if (literal && isNearer(literal, nearest)) return done(tooNear(), null)
    connect(to, (error, socket) => {
      if (error) return done(error, null)
      if (!isNearer(networkOf(socket), nearest)) return done(null, socket)
      socket.destroy()
      done(tooNear(), null)
    })
  }
}

function connector({ timeoutMs, lookup }: ConnectionOptions): Connect {
  return buildConnector({ timeout: timeoutMs, allowH2: false, ...(lookup && { lookup }) })
}

/** Leaves out addresses that are too private. */
function judgingLookup(nearest: AddressClass, lookup: LookupFunction): LookupFunction {
  return (hostname, options, done) => {
    lookup(hostname, { ...options, all: true }, (error, found) => {
      if (error) return done(error, [])
      const addresses: readonly LookupAddress[] = Array.isArray(found) ? found : []
      const allowed = addresses.filter(({ address }) => !isNearer(addressClass(address) ?? 'loopback', nearest))
      const [first] = allowed
      if (!first) return done(tooNear(), [])
      if (options.all === true) done(null, allowed)
      else done(null, first.address, first.family)
    })
  }
}

/** A connection of a machine to its own network address counts as loopback. */
function networkOf({ remoteAddress = '', localAddress }: Socket): AddressClass {
  return remoteAddress === localAddress ? 'loopback' : (addressClass(remoteAddress) ?? 'loopback')
}

function tooNear(): SealiftError {
  return new SealiftError(
    'not_direct',
    'The address of the store leads to a more private network than its server is in',
  )
}

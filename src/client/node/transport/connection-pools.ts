/** Which pool of connections a request takes: straight or through a proxy, to a server or to its store. */
import type { LookupFunction } from 'node:net'

import { Agent, EnvHttpProxyAgent } from 'undici'
import type { buildConnector, Dispatcher } from 'undici'

import type { AddressClass } from '../../transport/address-class.ts'
import { isLoopback } from '../../link.ts'
import type { TransportRequest } from '../../transport/transport.ts'
import { judgingConnect, notingConnect, ServerPlaces } from './judged-connections.ts'

const CONNECT_TIMEOUT_MS = 15_000
/** Shorter than what servers keep idle connections for, so that none is used in the moment it is closed. */
const KEEP_ALIVE_MS = 4_000

export interface RoutesOptions {
  readonly connections: number
  readonly lookup?: LookupFunction
  readonly environment?: Readonly<Record<string, string | undefined>>
}

export class Routes implements AsyncDisposable {
  readonly #connections: number
  readonly #lookup: LookupFunction | undefined
  readonly #proxies: Proxies | null
  readonly #places = new ServerPlaces()
  readonly #server: Dispatcher
  /** For loopback, which is never reached through a proxy. */
  readonly #here: Dispatcher
  /** By how near they may lead, and whether a proxy may be used. */
  readonly #stores = new Map<string, Dispatcher>()

  constructor({ connections, lookup, environment = process.env }: RoutesOptions) {
    this.#connections = connections
    this.#lookup = lookup
    this.#proxies = proxiesOf(environment)
    const connect = notingConnect(this.#places, { timeoutMs: CONNECT_TIMEOUT_MS, lookup })
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
    const nearest = this.#places.of(new URL(noNearerThan).origin)
    return this.#storePool(nearest, isHere)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(Array.from(new Set([this.#server, this.#here, ...this.#stores.values()]), each => each.destroy()))
  }

  #storePool(nearest: AddressClass, isHere: boolean): Dispatcher {
    const key = `${nearest} ${isHere}`
    const known = this.#stores.get(key)
    if (known) return known
    const connect = judgingConnect(nearest, { timeoutMs: CONNECT_TIMEOUT_MS, lookup: this.#lookup })
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
function proxiesOf(environment: NonNullable<RoutesOptions['environment']>): Proxies | null {
  const read = (name: string): string => environment[name] ?? environment[name.toUpperCase()] ?? ''
  const [httpProxy, httpsProxy] = [read('http_proxy'), read('https_proxy')]
  return httpProxy === '' && httpsProxy === '' ? null : { httpProxy, httpsProxy, noProxy: read('no_proxy') }
}

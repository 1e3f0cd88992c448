/**
 * Connections that are judged by where they lead, not by the name that led there: a name may resolve to anything, and to
 * something else the next time (DNS rebinding). A store's connection is refused before a byte is sent where it leads to
 * a nearer place than the connections to its server. See `../address-class.ts`.
 */
import { lookup as systemLookup } from 'node:dns'
import type { LookupAddress } from 'node:dns'
import { isIP } from 'node:net'
import type { LookupFunction, Socket } from 'node:net'

import { buildConnector } from 'undici'

import { SealiftError } from '../../../protocol/errors.ts'
import { addressClass, isNearer } from '../../transport/address-class.ts'
import type { AddressClass } from '../../transport/address-class.ts'

type Connect = buildConnector.connector

export interface ConnectionOptions {
  readonly timeoutMs: number
  /** Resolves names. Default: the system's. */
  readonly lookup?: LookupFunction | undefined
}

/** The farthest place that connections to each server have led to. */
export class ServerPlaces {
  readonly #places = new Map<string, AddressClass>()

  note(origin: string, place: AddressClass): void {
    const known = this.#places.get(origin)
    if (known === undefined || isNearer(known, place)) this.#places.set(origin, place)
  }

  /** Of a server that was reached through a proxy nothing is known, which counts as far. */
  of(origin: string): AddressClass {
    return this.#places.get(origin) ?? 'public'
  }
}

/** Connects anywhere, and notes where that is. */
export function notingConnect(places: ServerPlaces, options: ConnectionOptions): Connect {
  const connect = connector(options)
  return (to, done) =>
    connect(to, (error, socket) => {
      if (error) return done(error, null)
      places.note(new URL(`${to.protocol}//${to.host ?? to.hostname}`).origin, placeOf(socket))
      done(null, socket)
    })
}

/** Connects to nothing nearer than `nearest`. */
export function judgingConnect(nearest: AddressClass, options: ConnectionOptions): Connect {
  const connect = connector({ ...options, lookup: judgingLookup(nearest, options.lookup ?? systemLookup) })
  return (to, done) => {
    const literal = isIP(to.hostname) ? addressClass(to.hostname) : null
    if (literal && isNearer(literal, nearest)) return done(tooNear(), null)
    connect(to, (error, socket) => {
      if (error) return done(error, null)
      if (!isNearer(placeOf(socket), nearest)) return done(null, socket)
      socket.destroy()
      done(tooNear(), null)
    })
  }
}

function connector({ timeoutMs, lookup }: ConnectionOptions): Connect {
  return buildConnector({ timeout: timeoutMs, allowH2: false, ...(lookup && { lookup }) })
}

/** Leaves out what is too near before it is connected to. */
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

/** A machine that reaches itself by its address in the network is as near as by its loopback. */
function placeOf({ remoteAddress = '', localAddress }: Socket): AddressClass {
  return remoteAddress === localAddress ? 'loopback' : (addressClass(remoteAddress) ?? 'loopback')
}

function tooNear(): SealiftError {
  return new SealiftError(
    'not_direct',
    'The address of the store leads to a more private network than its server is in',
  )
}

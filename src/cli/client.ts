/** Makes SDK clients from options of the command line. */
import { createSealift, parseLink, type NodeSealift } from '../client/node/index.ts'
import { parallelism } from './option-values.ts'

/** Where `sealift serve` listens by default. */
export const DEFAULT_SERVER = 'http://127.0.0.1:7325'

export interface ServerOptions {
  readonly server?: string
  readonly token?: string
  readonly parallel?: number
}

export interface LinkOptions extends ServerOptions {
  /** The token is meant for the link's own server, whichever that is. */
  readonly tokenForLink?: boolean
}

/** A client of the server that is named, or of the default one. */
export function openServer(options: ServerOptions): NodeSealift {
  const { server = DEFAULT_SERVER, token, parallel } = options
  return createSealift({ server, ...(token === undefined ? {} : { token }), ...parallelism(parallel) })
}

/** A client for a link. A token goes only to the server it was given for. @throws invalid_link */
export function openForLink(link: string, options: LinkOptions): NodeSealift {
  const { server } = parseLink(link)
  return openServer(options.tokenForLink ? { ...options, server } : options)
}

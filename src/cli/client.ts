/** Makes SDK clients from the command line and the environment. */
import { createSealift, parseLink, type NodeSealift, type NodeSealiftOptions } from '../client/node/index.ts'
import { serverBase } from '../client/link.ts'
import type { CliIo } from './cli-io.ts'
import { parallelism } from './option-values.ts'

/** Where `sealift serve` listens by default. */
export const DEFAULT_SERVER = 'http://127.0.0.1:7325'

/** As given on the command line. */
export interface ServerOptions {
  readonly server?: string
  readonly token?: string
  readonly parallel?: number
  /** Lets large items of a link to another server come straight from that server's store. */
  readonly direct?: boolean
}

/** The address that is meant: the command line's, else the environment's, else the default. */
export function serverOf(io: Pick<CliIo, 'env'>, options: ServerOptions): string {
  return (options.server ?? (io.env['SEALIFT_SERVER'] || DEFAULT_SERVER)).trim()
}

/** Callbacks for events of the client. */
export type ClientEvents = Pick<NodeSealiftOptions, 'onRetry' | 'onStateFailure'>

/** A client of that server. */
export function openServer(io: Pick<CliIo, 'env'>, options: ServerOptions, events: ClientEvents = {}): NodeSealift {
  const token = (options.token ?? io.env['SEALIFT_TOKEN'] ?? '').trim()
  const server = serverOf(io, options)
  return createSealift({
    server,
    ...(token === '' ? {} : { token }),
    ...parallelism(options.parallel),
    ...(options.direct === undefined ? {} : { direct: options.direct }),
    ...events,
  })
}

/**
 * A client for a link. A token goes only to the server it belongs to: one from the environment to the server that is
 * named there, one given beside the link to the link's own server. That makes it no server of one's own, whose store
 * may be anywhere.
 * @throws invalid_link
 */
export function openForLink(
  io: Pick<CliIo, 'env'>,
  link: string,
  options: ServerOptions,
  events: ClientEvents = {},
): NodeSealift {
  const { server } = parseLink(link)
  const tokenIsForLink = options.token !== undefined && options.server === undefined
  if (!tokenIsForLink) return openServer(io, options, events)
  const isOwn = serverBase(serverOf(io, options)) === serverBase(server)
  return openServer(io, { direct: isOwn, ...options, server }, events)
}

import type { ServerConfig } from '../config/schema.ts'

const CLIENTS_AT_THEIR_CAPS = 16
/** A download asks for its next part while the end of one is passed on; a media in one request sends two parts at once. */
const SOCKETS_A_SLOT = 2
const FEWEST = 256
const MOST = 10_000

/**
 * Connections to the storage service that a process may hold each way, so that transfers within their caps do not wait
 * for one behind the slow transfers of others. They are made as they are needed.
 */
export function socketsFor(tiers: ServerConfig['tiers']): number {
  const slots = Object.values(tiers).flatMap(tier => [tier.concurrentUploads, tier.concurrentDownloads])
  return Math.min(MOST, Math.max(FEWEST, CLIENTS_AT_THEIR_CAPS * SOCKETS_A_SLOT * Math.max(0, ...slots)))
}

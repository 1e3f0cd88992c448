import { createHmac, randomBytes } from 'node:crypto'

import { BoundedMap } from '../../common/bounded-map.ts'

const MAX_REMEMBERED = 10_000

/**
 * Names clients in the log without telling who they are: the same within one run of the server, different in the next.
 */
export function createPseudonyms(salt: Uint8Array = randomBytes(32)): (clientId: string) => string {
  const known = new BoundedMap<string, string>(MAX_REMEMBERED)
  const derive = (clientId: string) => createHmac('sha256', salt).update(clientId).digest('hex').slice(0, 12)
  return clientId => known.getOrSet(clientId, derive)
}

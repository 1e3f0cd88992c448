import { createHmac, randomBytes } from 'node:crypto'

const MAX_REMEMBERED = 10_000

/**
 * Names clients in the log without telling who they are: the same within one run of the server, different in the next.
 */
export function createPseudonyms(salt: Uint8Array = randomBytes(32)): (clientId: string) => string {
  const known = new Map<string, string>()
  return clientId => {
    const before = known.get(clientId)
    if (before !== undefined) return before
    if (known.size >= MAX_REMEMBERED) known.clear()
    const name = createHmac('sha256', salt).update(clientId).digest('hex').slice(0, 12)
    known.set(clientId, name)
    return name
  }
}

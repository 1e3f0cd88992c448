import { createHash } from 'node:crypto'

import type { TransferDirection } from './limiter.ts'

const MAX_NAMES = 10_000

/**
 * How Valkey knows the line of a client's transfers: a client's name is nobody's business who looks in there. The names
 * of those who came lately are remembered: a hash costs more than all the rest of taking a slot that is kept.
 */
export class LineNames {
  readonly #names = { upload: new Map<string, string>(), download: new Map<string, string>() }

  of(clientId: string, direction: TransferDirection): string {
    const names = this.#names[direction]
    const known = names.get(clientId)
    if (known !== undefined) return known
    const name = `${direction}:${createHash('sha256').update(clientId).digest('base64url').slice(0, 22)}`
    if (names.size >= MAX_NAMES) names.clear()
    names.set(clientId, name)
    return name
  }
}

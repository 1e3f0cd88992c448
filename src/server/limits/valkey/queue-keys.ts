import { hiddenName } from '../../cluster/hashed-key.ts'
import type { TransferDirection } from '../limiter.ts'

const MAX_NAMES = 10_000

/**
 * How Valkey knows the lines of clients. The names of those who came lately are remembered: a hash costs more than all the
 * rest of taking a slot that is kept.
 */
export class LineNames {
  readonly #names = { upload: new Map<string, string>(), download: new Map<string, string>() }

  of(clientId: string, direction: TransferDirection): string {
    const names = this.#names[direction]
    const known = names.get(clientId)
    if (known !== undefined) return known
    const name = `${direction}:${hiddenName(clientId)}`
    if (names.size >= MAX_NAMES) names.clear()
    names.set(clientId, name)
    return name
  }
}

import type { ClusterNode } from '../../cluster/cluster-node.ts'
import type { SlotLedger } from './slot-script-client.ts'

/** More than that lapse by themselves. */
const MAX_LATER = 10_000

interface Drop {
  readonly line: string
  readonly ticket: string
}

/** Tells Valkey of tickets that are over; what it could not be told is told when it is there again. */
export class SlotDrops {
  readonly #node: Pick<ClusterNode, 'phase'>
  readonly #ledger: Pick<SlotLedger, 'ask'>
  #later: Drop[] = []

  constructor(node: Pick<ClusterNode, 'phase'>, ledger: Pick<SlotLedger, 'ask'>) {
    this.#node = node
    this.#ledger = ledger
  }

  drop(line: string, ticket: string): void {
    const later = () => {
      if (this.#later.length < MAX_LATER) this.#later.push({ line, ticket })
    }
    if (this.#node.phase !== 'joined') return later()
    this.#ledger.ask({ kind: 'drop', line, ticket }).catch(later)
  }

  /** Tries once more what failed; what fails again lapses. */
  retry(): void {
    for (const { line, ticket } of this.#later.splice(0)) {
      this.#ledger.ask({ kind: 'drop', line, ticket }).catch(() => undefined)
    }
  }
}

/** Slots while Valkey is away: each node grants from its share, the cap divided by the known nodes. */
import type { SealiftError } from '../../../protocol/errors.ts'
import type { ClusterNode } from '../../cluster/cluster-node.ts'
import type { ClientSlots, SlotHold } from './slot-request.ts'

export class PartitionFallback {
  readonly #node: Pick<ClusterNode, 'nodes'>
  readonly #refusal: (hold: SlotHold, ahead: number) => SealiftError

  /** @param refusal why a request gets no slot, with `ahead` requests before it */
  constructor(node: Pick<ClusterNode, 'nodes'>, refusal: (hold: SlotHold, ahead: number) => SealiftError) {
    this.#node = node
    this.#refusal = refusal
  }

  /** Decides about all requests that were sent to Valkey or wait in its queues. */
  takeOver(clients: Iterable<ClientSlots>): void {
    for (const { requested } of clients) {
      for (const hold of requested) this.decide(hold)
    }
  }

  decide(hold: SlotHold): void {
    const { client, request } = hold
    if (!hold.isRequested) return
    const isFirst = client.requested.values().next().value === hold
    if (isFirst && client.held.size < this.#share(request.cap)) return hold.grant()
    const ahead = client.requested.size - 1
    const isTooMany = hold.state === 'asking' && ahead >= Math.floor(request.queue / this.#node.nodes)
    if (isTooMany || hold.hasTimedOut) return hold.refuse(this.#refusal(hold, ahead))
    hold.state = 'waiting'
  }

  /** Call it when a slot was released. */
  grantWaiting({ requested, held }: ClientSlots): void {
    for (const hold of requested) {
      if (held.size >= this.#share(hold.request.cap)) return
      hold.grant()
    }
  }

  #share(cap: number): number {
    return Math.max(Math.min(1, cap), Math.floor(cap / this.#node.nodes))
  }
}

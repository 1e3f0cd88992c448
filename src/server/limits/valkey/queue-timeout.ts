import type { ClusterNode } from '../../cluster/cluster-node.ts'
import type { Refused } from './partition-fallback.ts'
import type { Ticket } from './slot-request.ts'

/** How long a ticket waits, and what becomes of it then. */
export class SlotPatience {
  readonly #node: ClusterNode
  readonly #refused: Refused

  constructor(node: ClusterNode, refused: Refused) {
    this.#node = node
    this.#refused = refused
  }

  /**
   * Refuses the ticket when its wait is over; dispose the result when it has its slot.
   * Patience is for a line, not for an answer on its way: that has its own deadline, and a flush is over in a lease.
   */
  with(ticket: Ticket): Disposable {
    const refuse = () => ticket.refuse(this.#refused(ticket, ticket.line.asked.size))
    const outOfPatience = () => {
      if (ticket.state === 'waiting') return refuse()
      ticket.isHurried = true
      timer = setTimeout(refuse, 2 * this.#node.link.commandTimeoutMs + this.#node.leaseTtlMs)
    }
    let timer = setTimeout(outOfPatience, Math.max(1, ticket.request.queueWaitMs))
    return { [Symbol.dispose]: () => clearTimeout(timer) }
  }
}

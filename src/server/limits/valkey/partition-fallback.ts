/** Slots while Valkey is away: each node grants from its share, the cap divided by the nodes there were. */
import type { SealiftError } from '../../../protocol/errors.ts'
import type { ClusterNode } from '../../cluster/cluster-node.ts'
import type { Ticket, TicketLine } from './slot-request.ts'

/** Why a ticket gets no slot, `ahead` others being before it. */
export type Refused = (ticket: Ticket, ahead: number) => SealiftError

export class AloneSlots {
  readonly #node: Pick<ClusterNode, 'nodes'>
  readonly #refused: Refused

  constructor(node: Pick<ClusterNode, 'nodes'>, refused: Refused) {
    this.#node = node
    this.#refused = refused
  }

  /** Those who have asked Valkey or stand in its lines are served from here on. */
  takeOver(lines: Iterable<TicketLine>): void {
    for (const line of lines) {
      for (const ticket of line.asked) this.decide(ticket)
    }
  }

  decide(ticket: Ticket): void {
    const { line, request } = ticket
    if (!ticket.isWanted) return
    const isFirst = line.asked.values().next().value === ticket
    if (isFirst && line.held.size < this.#share(request.cap)) return ticket.grant()
    const ahead = line.asked.size - 1
    const isTooMany = ticket.state === 'asking' && ahead >= Math.floor(request.queue / this.#node.nodes)
    if (isTooMany || ticket.isHurried) return ticket.refuse(this.#refused(ticket, ahead))
    ticket.state = 'waiting'
  }

  /** Something was freed. */
  fill(line: TicketLine): void {
    for (const ticket of line.asked) {
      if (line.held.size >= this.#share(ticket.request.cap)) return
      ticket.grant()
    }
  }

  #share(cap: number): number {
    return Math.max(Math.min(1, cap), Math.floor(cap / this.#node.nodes))
  }
}

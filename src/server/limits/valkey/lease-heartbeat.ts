import { ANSWER } from './slot-script.ts'
import type { SlotDrops } from './release-outbox.ts'
import type { SlotLedger } from './slot-script-client.ts'
import type { SlotLease, SlotReserves } from './cached-slots.ts'
import type { Ticket } from './slot-request.ts'

export interface SlotRenewalsOptions {
  readonly ledger: Pick<SlotLedger, 'ask'>
  readonly drops: SlotDrops
  readonly reserves: SlotReserves
  /** Of this node, whatever their state. */
  readonly tickets: () => Iterable<Ticket>
  /** Valkey has given this slot away. */
  readonly onLost: (line: string, lease: SlotLease) => void
}

/** Renews all that this node holds, keeps and waits for, and puts right whatever got lost on either side. */
export class SlotRenewals {
  readonly #options: SlotRenewalsOptions

  constructor(options: SlotRenewalsOptions) {
    this.#options = options
  }

  /** Tells Valkey of everything, and then that this was everything. */
  report(): void {
    const { ledger, drops, reserves, tickets } = this.#options
    drops.retry()
    for (const ticket of tickets()) {
      if (ticket.state === 'held') {
        ticket.isKnown = true
        void this.#renewSlot(ticket.line.name, ticket.lease)
      } else if (ticket.state === 'waiting' && ticket.isKnown) void this.#renewPlace(ticket)
    }
    reserves.renew((line, lease) => void this.#renewSlot(line, lease))
    ledger.ask({ kind: 'reported' }).catch(() => undefined)
  }

  /** By its name, since it may pass from one transfer to the next meanwhile. */
  async #renewSlot(line: string, lease: SlotLease): Promise<void> {
    const sentAtMs = performance.now()
    const { id: ticket, cap } = lease
    const answer = await this.#options.ledger.ask({ kind: 'hold', line, ticket, cap }).catch(() => null)
    if (answer?.code === ANSWER.granted) lease.confirmedAtMs = sentAtMs
    else if (answer?.code === ANSWER.lost) this.#options.onLost(line, lease)
  }

  async #renewPlace(ticket: Ticket): Promise<void> {
    const { id, line, request, arrival } = ticket
    const { cap, queue } = request
    const ask = { kind: 'wait', line: line.name, ticket: id, cap, queue, arrival } as const
    const answer = await this.#options.ledger.ask(ask).catch(() => null)
    if (answer?.code === ANSWER.granted) ticket.grant()
  }
}

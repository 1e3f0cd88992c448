/**
 * Transfer slots of all nodes together, counted in Valkey: see slot-script.ts for what is kept there.
 *
 * Exact while nodes reach Valkey: granting is one script. A heartbeat renews what a node holds, by name; what is not
 * renewed within a lease is free for others, and a node that finds a slot of its own given away ends that transfer.
 * While Valkey is away, what is held goes on, and each node grants from its share of the cap: the cap divided by the
 * nodes there were, at least one. A slot is then at most as exact as that share.
 */
import type { SealiftError } from '../../protocol/errors.ts'
import type { Sessions } from '../access/sessions.ts'
import type { ClusterNode } from '../cluster/cluster-node.ts'
import { AloneSlots } from './alone-slots.ts'
import { HeldSlot } from './held-slot.ts'
import { HoldTime } from './hold-time.ts'
import type { NodeSlotLimiter, SlotRequest, TransferDirection, TransferSlot } from './limiter.ts'
import { SlotLedger, type Answer } from './slot-ledger.ts'
import { lostSlot, refusal, shuttingDown } from './slot-refusals.ts'
import { SlotPatience } from './slot-patience.ts'
import { SlotRight } from './slot-right.ts'
import { ANSWER } from './slot-script.ts'
import { lineName, Ticket, TicketLine } from './slot-ticket.ts'

export interface ValkeySlotLimiter extends NodeSlotLimiter, AsyncDisposable {
  /** Takes the slots away from those who hold them, and gives them back to the other nodes. */
  [Symbol.asyncDispose](): Promise<void>
}

export interface ValkeySlotLimiterOptions {
  readonly node: ClusterNode
  /** Keeps several limiters apart: a short word. */
  readonly name: string
  /** Tells when the credential behind a slot is revoked. */
  readonly sessions?: Pick<Sessions, 'watch'>
}

/** The caller owns `node`, and disposes of it after the limiter. */
export async function openValkeySlotLimiter(options: ValkeySlotLimiterOptions): Promise<ValkeySlotLimiter> {
  const limiter = new SlotLimiterInValkey(options)
  await limiter.begin()
  return limiter
}

/** While slots are being counted anew after a flush, who asks tries again this often. */
const ASK_AGAIN_MS = 100
/** Tickets that Valkey may still know although they are over; more lapse by themselves. */
const MAX_TO_DROP = 10_000

class SlotLimiterInValkey implements ValkeySlotLimiter {
  readonly #node: ClusterNode
  readonly #name: string
  readonly #ledger: SlotLedger
  readonly #sessions: Pick<Sessions, 'watch'> | null
  readonly #lines = new Map<string, TicketLine>()
  readonly #tickets = new Map<string, Ticket>()
  readonly #counts = { upload: { held: 0, waiting: 0 }, download: { held: 0, waiting: 0 } }
  readonly #holdTime = { upload: new HoldTime(), download: new HoldTime() }
  readonly #watch: Disposable
  readonly #alone: AloneSlots
  readonly #patience: SlotPatience
  #toDrop: Ticket[] = []
  #askAgain: NodeJS.Timeout | undefined
  #made = 0
  #closed = false

  constructor({ node, name, sessions }: ValkeySlotLimiterOptions) {
    this.#node = node
    this.#name = name
    this.#sessions = sessions ?? null
    const refused = (ticket: Ticket, ahead: number) => this.#refused(ticket, ahead)
    this.#alone = new AloneSlots(node, refused)
    this.#patience = new SlotPatience(node, refused)
    const onGranted = (tickets: readonly string[]) => this.#granted(tickets)
    this.#ledger = new SlotLedger({ node, name, onGranted, onForgotten: () => this.#report() })
    this.#watch = node.watch({
      joined: () => this.#rejoin(),
      alone: () => this.#alone.takeOver(this.#lines.values()),
      beat: () => this.#report(),
    })
  }

  async begin(): Promise<void> {
    const { link, id } = this.#node
    await Promise.all([
      link.hear(`${this.#name}:wake:${id}`, tickets => this.#granted(tickets.split(' '))),
      link.hear(`${this.#name}:wake:all`, message => this.#hear(message)),
    ])
    if (this.#node.phase === 'joined') this.#report()
  }

  async acquire(request: SlotRequest, signal: AbortSignal): Promise<TransferSlot> {
    signal.throwIfAborted()
    if (this.#closed) throw shuttingDown()
    const ticket = this.#newTicket(request)
    const right = new SlotRight(this.#sessions, request.credential)
    try {
      this.#ask(ticket)
      await this.#await(ticket, signal, right)
    } catch (error) {
      right[Symbol.dispose]()
      this.#end(ticket)
      throw error
    }
    return this.#slot(ticket, right)
  }

  async held(clientId: string, direction: TransferDirection): Promise<number> {
    const line = lineName(clientId, direction)
    const here = () => this.#lines.get(line)?.held.size ?? 0
    if (this.#node.phase !== 'joined') return here()
    try {
      return Number((await this.#ledger.ask({ kind: 'count', line })).value)
    } catch {
      return here()
    }
  }

  looksFree({ clientId, direction, cap }: SlotRequest): boolean {
    if (this.#node.phase !== 'joined') return false
    const line = this.#lines.get(lineName(clientId, direction))
    return line === undefined || (line.asked.size === 0 && line.held.size < cap)
  }

  inFlight(direction: TransferDirection): number {
    return this.#counts[direction].held
  }

  waiting(direction: TransferDirection): number {
    return this.#counts[direction].waiting
  }

  close(): void {
    this.#closed = true
    for (const ticket of this.#tickets.values()) ticket.refuse(shuttingDown())
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close()
    clearTimeout(this.#askAgain)
    this.#watch[Symbol.dispose]()
    for (const ticket of this.#tickets.values()) ticket.onLost?.()
    for (const ticket of this.#tickets.values()) this.#end(ticket)
    await this.#ledger.idle()
  }

  #newTicket(request: SlotRequest): Ticket {
    const name = lineName(request.clientId, request.direction)
    const line = this.#lines.get(name) ?? new TicketLine(name)
    this.#lines.set(name, line)
    this.#made += 1
    const ticket = new Ticket(`${this.#node.id}:${this.#made}`, line, request)
    this.#tickets.set(ticket.id, ticket)
    return ticket
  }

  #ask(ticket: Ticket): void {
    if (this.#node.phase === 'joined') void this.#take(ticket)
    else if (this.#node.phase === 'alone') this.#alone.decide(ticket)
  }

  async #take(ticket: Ticket): Promise<void> {
    const { id, line, request } = ticket
    ticket.isKnown = true
    try {
      const { cap, queue } = request
      this.#answered(ticket, await this.#ledger.ask({ kind: 'take', line: line.name, ticket: id, cap, queue }))
    } catch {
      // The link broke. If it has been away for long enough by now, this node decides; else whoever comes first does.
      if (ticket.state === 'asking' && this.#node.phase === 'alone') this.#alone.decide(ticket)
    }
  }

  #answered(ticket: Ticket, { code, value }: Answer): void {
    if (code === ANSWER.granted) ticket.grant()
    else if (code === ANSWER.refused) ticket.refuse(this.#refused(ticket, Number(value)))
    else if (code === ANSWER.settling) this.#tryLater()
    else if (ticket.isHurried) ticket.refuse(this.#refused(ticket, ticket.line.asked.size))
    else if (ticket.state === 'asking') {
      ticket.state = 'waiting'
      ticket.arrival = value
    }
  }

  #refused({ request }: Ticket, ahead: number): SealiftError {
    return refusal(request, this.#holdTime[request.direction].retryAfterSeconds(ahead, request.cap))
  }

  /** Resolves with the slot in hand. */
  async #await(ticket: Ticket, signal: AbortSignal, right: SlotRight): Promise<void> {
    const counts = this.#counts[ticket.request.direction]
    const aborted = () => ticket.refuse(signal.reason)
    signal.addEventListener('abort', aborted, { once: true })
    right.whenLost(reason => ticket.refuse(reason))
    using _ = this.#patience.with(ticket)
    counts.waiting += 1
    try {
      await ticket.outcome
    } finally {
      counts.waiting -= 1
      signal.removeEventListener('abort', aborted)
    }
  }

  #slot(ticket: Ticket, right: SlotRight): TransferSlot {
    const { direction } = ticket.request
    const since = performance.now()
    this.#counts[direction].held += 1
    const slot = new HeldSlot(() => {
      right[Symbol.dispose]()
      ticket.onLost = null
      this.#counts[direction].held -= 1
      this.#holdTime[direction].note(performance.now() - since)
      this.#end(ticket)
    })
    right.whenLost(reason => slot.takeAway(reason))
    ticket.onLost = () => slot.takeAway(this.#closed ? shuttingDown() : lostSlot())
    // It may have been lost between its grant and now.
    if (ticket.state === 'over') ticket.onLost()
    return slot
  }

  /** However it ends, Valkey is told if it may know of it. */
  #end(ticket: Ticket): void {
    ticket.end()
    const { line } = ticket
    if (!this.#tickets.delete(ticket.id)) return
    if (ticket.isKnown) this.#drop(ticket)
    if (this.#node.phase === 'alone') this.#alone.fill(line)
    if (line.isIdle) this.#lines.delete(line.name)
  }

  #drop(ticket: Ticket): void {
    const later = () => {
      if (this.#toDrop.length < MAX_TO_DROP) this.#toDrop.push(ticket)
    }
    if (this.#node.phase !== 'joined') return later()
    this.#ledger.ask({ kind: 'drop', line: ticket.line.name, ticket: ticket.id }).catch(later)
  }

  /** Granted in answer to somebody else. For a ticket that is over by now, the drop that gives it on is on its way. */
  #granted(ids: readonly string[]): void {
    for (const id of ids) this.#tickets.get(id)?.grant()
  }

  #hear(message: string): void {
    if (this.#node.phase !== 'joined') return
    this.#report()
    if (message === 'open') this.#askAgainNow()
  }

  /** Tells all that this node holds and waits for: renews it, and puts right whatever got lost on either side. */
  #report(): void {
    for (const { line, id: ticket } of this.#toDrop.splice(0)) {
      this.#ledger.ask({ kind: 'drop', line: line.name, ticket }).catch(() => undefined)
    }
    for (const ticket of this.#tickets.values()) {
      if (ticket.state === 'held') void this.#renew(ticket, 'hold')
      else if (ticket.state === 'waiting' && ticket.isKnown) void this.#renew(ticket, 'wait')
    }
    this.#ledger.ask({ kind: 'reported' }).catch(() => undefined)
  }

  async #renew(ticket: Ticket, kind: 'hold' | 'wait'): Promise<void> {
    const { id, line, request, arrival } = ticket
    const { cap, queue } = request
    ticket.isKnown = true
    const answer = await this.#ledger.ask({ kind, line: line.name, ticket: id, cap, queue, arrival }).catch(() => null)
    if (answer?.code === ANSWER.lost) this.#lose(ticket)
    else if (kind === 'wait' && answer?.code === ANSWER.granted) ticket.grant()
  }

  #lose(ticket: Ticket): void {
    if (ticket.state !== 'held') return
    ticket.isKnown = false
    this.#end(ticket)
    ticket.onLost?.()
  }

  #rejoin(): void {
    this.#report()
    this.#askAgainNow()
  }

  #tryLater(): void {
    this.#askAgain ??= setTimeout(() => this.#askAgainNow(), ASK_AGAIN_MS).unref()
  }

  /** Who has no answer yet, and who stood in the line of this node alone, asks Valkey (again), in order. */
  #askAgainNow(): void {
    clearTimeout(this.#askAgain)
    this.#askAgain = undefined
    if (this.#node.phase !== 'joined') return
    for (const ticket of this.#tickets.values()) {
      if (ticket.state === 'waiting' && !ticket.isKnown) ticket.state = 'asking'
      if (ticket.state === 'asking') void this.#take(ticket)
    }
  }
}

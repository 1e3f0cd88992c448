/**
 * Transfer slots of all nodes together, counted in Valkey: see slot-script.ts for what is kept there.
 *
 * Exact while nodes reach Valkey: granting is one script, or a slot that this node has kept (slot-reserves.ts). A
 * heartbeat renews what a node holds, by name (slot-renewals.ts); what is not renewed within a lease is free for others,
 * and a node that finds a slot of its own given away ends that transfer.
 * While Valkey is away, what is held goes on, and each node grants from its share of the cap: the cap divided by the
 * nodes there were, at least one. A slot is then at most as exact as that share.
 */
import type { SealiftError } from '../../../protocol/errors.ts'
import type { Sessions } from '../../access/sessions.ts'
import type { ClusterNode } from '../../cluster/cluster-node.ts'
import { AloneSlots } from './partition-fallback.ts'
import { HeldSlot } from '../memory/held-slot.ts'
import { HoldTime } from '../memory/average-hold-time.ts'
import type { NodeSlotLimiter, SlotRequest, TakesAtOnce, TransferDirection, TransferSlot } from '../limiter.ts'
import { LineNames } from './queue-keys.ts'
import { SlotDrops } from './release-outbox.ts'
import { SlotLedger, type Answer } from './slot-script-client.ts'
import { lostSlot, refusal, shuttingDown } from './slot-refusals.ts'
import { SlotPatience } from './queue-timeout.ts'
import { askUntilEmptied, hasWaitedForOthers, SlotRecalls } from './reserve-reclaim.ts'
import { SlotRenewals } from './lease-heartbeat.ts'
import { type SlotLease, SlotReserves } from './cached-slots.ts'
import { SlotRight } from './credential-watch.ts'
import { ANSWER } from './slot-script.ts'
import { Ticket, TicketLine } from './slot-request.ts'

export interface ValkeySlotLimiter extends NodeSlotLimiter, TakesAtOnce, AsyncDisposable {
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

class SlotLimiterInValkey implements ValkeySlotLimiter {
  readonly #node: ClusterNode
  readonly #name: string
  readonly #ledger: SlotLedger
  readonly #sessions: Pick<Sessions, 'watch'> | null
  readonly #lines = new Map<string, TicketLine>()
  readonly #names = new LineNames()
  readonly #tickets = new Map<string, Ticket>()
  readonly #counts = { upload: { held: 0, waiting: 0 }, download: { held: 0, waiting: 0 } }
  readonly #holdTime = { upload: new HoldTime(), download: new HoldTime() }
  readonly #watch: Disposable
  readonly #alone: AloneSlots
  readonly #patience: SlotPatience
  readonly #drops: SlotDrops
  readonly #reserves: SlotReserves
  readonly #renewals: SlotRenewals
  readonly #recalls = new SlotRecalls(ticket => void this.#take(ticket))
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
    this.#ledger = new SlotLedger({ node, name, onGranted, onForgotten: () => this.#forgotten() })
    this.#drops = new SlotDrops(node, this.#ledger)
    const drop = (line: string, id: string) => this.#drops.drop(line, id)
    this.#reserves = new SlotReserves({ ledger: this.#ledger, leaseTtlMs: node.leaseTtlMs, drop })
    this.#renewals = new SlotRenewals({
      ledger: this.#ledger,
      drops: this.#drops,
      reserves: this.#reserves,
      tickets: () => this.#tickets.values(),
      onLost: (line, lease) => this.#lose(line, lease),
    })
    this.#watch = node.watch({
      joined: () => this.#rejoin(),
      lost: () => this.#reserves.recallAll(),
      alone: () => this.#alone.takeOver(this.#lines.values()),
      beat: () => this.#renewals.report(),
    })
  }

  async begin(): Promise<void> {
    const { link, id } = this.#node
    await Promise.all([
      link.hear(`${this.#name}:wake:${id}`, tickets => this.#granted(tickets.split(' '))),
      link.hear(`${this.#name}:wake:all`, message => this.#hear(message)),
      link.hear(`${this.#name}:wake:recall:${id}`, keepers =>
        this.#reserves.recall(this.#ledger.lineOfKeepers(keepers)),
      ),
      link.hear(`${this.#name}:wake:emptied`, keepers => this.#recalls.emptied(this.#ledger.lineOfKeepers(keepers))),
    ])
    if (this.#node.phase === 'joined') this.#renewals.report()
  }

  async acquire(request: SlotRequest, signal: AbortSignal): Promise<TransferSlot> {
    signal.throwIfAborted()
    if (this.#closed) throw shuttingDown()
    const right = new SlotRight(this.#sessions, request.credential)
    const kept = this.#takeKept(request)
    if (kept) return this.#slot(kept, right)
    const ticket = this.#newTicket(request)
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

  tryAcquire(request: Omit<SlotRequest, 'credential'>): TransferSlot | null {
    const kept = this.#closed ? null : this.#takeKept(request)
    return kept && this.#slot(kept, null)
  }

  async held(clientId: string, direction: TransferDirection): Promise<number> {
    const line = this.#names.of(clientId, direction)
    const here = () => this.#lines.get(line)?.held.size ?? 0
    if (this.#node.phase !== 'joined') return here()
    this.#reserves.recall(line)
    const count = async (isLast: boolean) => {
      const { code, value } = await this.#ledger.ask({ kind: isLast ? 'tally' : 'count', line })
      return code === ANSWER.recalling ? null : Number(value)
    }
    return askUntilEmptied(count).then(
      known => known ?? here(),
      () => here(),
    )
  }

  looksFree({ clientId, direction, cap }: SlotRequest): boolean {
    if (this.#node.phase !== 'joined') return false
    const line = this.#lines.get(this.#names.of(clientId, direction))
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
    this.#reserves.stop()
    await this.#ledger.idle()
  }

  #newTicket(request: SlotRequest): Ticket {
    this.#made += 1
    const lease = { id: `${this.#node.id}:${this.#made}`, cap: request.cap, confirmedAtMs: performance.now() }
    return this.#ticketFor(request, lease)
  }

  #ticketFor(request: SlotRequest, lease: SlotLease): Ticket {
    const name = this.#names.of(request.clientId, request.direction)
    const line = this.#lines.get(name) ?? new TicketLine(name)
    this.#lines.set(name, line)
    const ticket = new Ticket(lease, line, request)
    this.#tickets.set(ticket.id, ticket)
    return ticket
  }

  /** A slot that this node has kept. While anybody stands in line for one here, there are none. */
  #takeKept(request: SlotRequest): Ticket | null {
    if (this.#node.phase !== 'joined') return null
    const lease = this.#reserves.take(this.#names.of(request.clientId, request.direction), request.cap)
    if (!lease) return null
    const ticket = this.#ticketFor(request, lease)
    ticket.isKnown = true
    ticket.grant()
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
      const kind = hasWaitedForOthers(ticket) ? 'insist' : 'take'
      this.#answered(ticket, await this.#ledger.ask({ kind, line: line.name, ticket: id, cap, queue }))
    } catch {
      // The link broke. If it has been away for long enough by now, this node decides; else whoever comes first does.
      if (ticket.state === 'asking' && this.#node.phase === 'alone') this.#alone.decide(ticket)
    }
  }

  #answered(ticket: Ticket, { code, value }: Answer): void {
    if (code === ANSWER.granted) ticket.grant()
    else if (code === ANSWER.refused) ticket.refuse(this.#refused(ticket, Number(value)))
    else if (code === ANSWER.settling) this.#tryLater()
    else if (code === ANSWER.recalling) this.#recalls.wait(ticket)
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

  #slot(ticket: Ticket, right: SlotRight | null): TransferSlot {
    const { direction } = ticket.request
    const since = performance.now()
    this.#counts[direction].held += 1
    const slot = new HeldSlot(() => {
      right?.[Symbol.dispose]()
      ticket.onLost = null
      this.#counts[direction].held -= 1
      this.#holdTime[direction].note(performance.now() - since)
      this.#end(ticket)
    })
    right?.whenLost(reason => slot.takeAway(reason))
    ticket.onLost = () => slot.takeAway(this.#closed ? shuttingDown() : lostSlot())
    // It may have been lost between its grant and now.
    if (ticket.state === 'over') ticket.onLost()
    return slot
  }

  /** However it ends, Valkey is told if it may know of it; or the slot is kept for who comes next. */
  #end(ticket: Ticket): void {
    const wasHeld = ticket.state === 'held'
    ticket.end()
    const { line, lease } = ticket
    if (!this.#tickets.delete(lease.id)) return
    if (ticket.isKnown && !(wasHeld && this.#keep(line, lease))) this.#drops.drop(line.name, lease.id)
    if (this.#node.phase === 'alone') this.#alone.fill(line)
    if (line.isIdle) this.#lines.delete(line.name)
  }

  #keep(line: TicketLine, lease: SlotLease): boolean {
    if (this.#closed || this.#node.phase !== 'joined' || line.asked.size > 0) return false
    return this.#reserves.keep(line.name, lease)
  }

  /** Granted in answer to somebody else. For a ticket that is over by now, the drop that gives it on is on its way. */
  #granted(ids: readonly string[]): void {
    for (const id of ids) this.#tickets.get(id)?.grant()
  }

  #hear(message: string): void {
    if (this.#node.phase !== 'joined') return
    this.#renewals.report()
    if (message === 'open') this.#askAgainNow()
  }

  /** Valkey knows nothing any more, and so nothing of what is kept either. */
  #forgotten(): void {
    this.#reserves.recallAll()
    this.#renewals.report()
  }

  #lose(line: string, { id }: SlotLease): void {
    this.#reserves.lose(line, id)
    const ticket = this.#tickets.get(id)
    if (ticket?.state !== 'held') return
    ticket.isKnown = false
    this.#end(ticket)
    ticket.onLost?.()
  }

  #rejoin(): void {
    this.#renewals.report()
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

/** A request for a slot and, later, the slot: from the moment it is asked for until it is freed. */
import type { SlotRequest } from '../limiter.ts'
import type { SlotLease } from './cached-slots.ts'

/**
 * - `asking`: nobody has answered yet, or nobody can right now
 * - `waiting`: in line
 * - `held`: the slot is theirs
 * - `over`: freed, refused or lost
 */
export type TicketState = 'asking' | 'waiting' | 'held' | 'over'

export class Ticket {
  /** What is asked for; the slot, once it is theirs. */
  readonly lease: SlotLease
  readonly line: TicketLine
  readonly request: SlotRequest
  state: TicketState = 'asking'
  /** Valkey may know of it. */
  isKnown = false
  /** Has no patience left: it takes a slot, but no place in a line. */
  isHurried = false
  /** When it joined the line, by the server's clock; `0` as long as it has not. */
  arrival = '0'
  /** Since when (monotonic ms) it waits for others to give back what they keep. */
  recalledAtMs: number | null = null
  /** Told when the slot is lost while it is held. */
  onLost: (() => void) | null = null
  readonly #outcome = Promise.withResolvers<void>()

  constructor(lease: SlotLease, line: TicketLine, request: SlotRequest) {
    this.lease = lease
    this.line = line
    this.request = request
    line.asked.add(this)
  }

  get id(): string {
    return this.lease.id
  }

  /** Resolves when the slot is theirs; rejects with why it never will be. */
  get outcome(): Promise<void> {
    return this.#outcome.promise
  }

  get isWanted(): boolean {
    return this.state === 'asking' || this.state === 'waiting'
  }

  grant(): void {
    if (!this.isWanted) return
    this.state = 'held'
    this.line.asked.delete(this)
    this.line.held.add(this)
    this.#outcome.resolve()
  }

  refuse(reason: unknown): void {
    if (!this.isWanted) return
    this.end()
    this.#outcome.reject(reason)
  }

  end(): void {
    this.state = 'over'
    this.line.asked.delete(this)
    this.line.held.delete(this)
  }
}

/** The tickets of one client in one direction, at this node. */
export class TicketLine {
  /** Its place among the lines of Valkey; tells nothing of the client. */
  readonly name: string
  /** In the order in which they came. */
  readonly asked = new Set<Ticket>()
  readonly held = new Set<Ticket>()

  constructor(name: string) {
    this.name = name
  }

  get isIdle(): boolean {
    return this.asked.size === 0 && this.held.size === 0
  }
}

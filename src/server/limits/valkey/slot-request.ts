/** One slot, from its request to its release; and all slots of one client and direction at this node. */
import type { SlotRequest } from '../limiter.ts'

/**
 * - `asking`: neither granted nor queued yet
 * - `waiting`: in the queue
 * - `held`: granted
 * - `over`: released, refused or expired
 */
export type HoldState = 'asking' | 'waiting' | 'held' | 'over'

export class SlotHold {
  readonly id: string
  readonly client: ClientSlots
  readonly request: SlotRequest
  state: HoldState = 'asking'
  /** Valkey may know it: its end has to be reported. */
  isKnown = false
  /** Its queue timeout has passed: it still takes a slot, but no position in a queue. */
  hasTimedOut = false
  /** When it was queued, by the server's clock; `0` before. */
  arrival = '0'
  /** Called when the slot expires while it is held. */
  onExpired: (() => void) | null = null
  readonly #outcome = Promise.withResolvers<void>()

  constructor(id: string, client: ClientSlots, request: SlotRequest) {
    this.id = id
    this.client = client
    this.request = request
    client.requested.add(this)
  }

  /** Resolves when the slot is granted; rejects when it is refused. */
  get outcome(): Promise<void> {
    return this.#outcome.promise
  }

  get isRequested(): boolean {
    return this.state === 'asking' || this.state === 'waiting'
  }

  grant(): void {
    if (!this.isRequested) return
    this.state = 'held'
    this.client.requested.delete(this)
    this.client.held.add(this)
    this.#outcome.resolve()
  }

  refuse(reason: unknown): void {
    if (!this.isRequested) return
    this.end()
    this.#outcome.reject(reason)
  }

  end(): void {
    this.state = 'over'
    this.client.requested.delete(this)
    this.client.held.delete(this)
  }
}

export class ClientSlots {
  /** As `slotKey` returns it. */
  readonly key: string
  /** In order of arrival. */
  readonly requested = new Set<SlotHold>()
  readonly held = new Set<SlotHold>()

  constructor(key: string) {
    this.key = key
  }

  get isIdle(): boolean {
    return this.requested.size === 0 && this.held.size === 0
  }
}

export interface QueueTimeout {
  /** Bounds a request that is in flight to Valkey when its queue timeout passes. */
  readonly graceMs: number
  readonly refuse: () => void
}

/**
 * Refuses a request after `queueWaitMs` in the queue. `queueWaitMs` limits queueing only; a request already sent to
 * Valkey is bounded by `graceMs`. Dispose the result when the slot is granted.
 */
export function startQueueTimeout(hold: SlotHold, { graceMs, refuse }: QueueTimeout): Disposable {
  const onTimeout = () => {
    if (hold.state === 'waiting') return refuse()
    hold.hasTimedOut = true
    timer = setTimeout(refuse, graceMs)
  }
  let timer = setTimeout(onTimeout, Math.max(1, hold.request.queueWaitMs))
  return { [Symbol.dispose]: () => clearTimeout(timer) }
}

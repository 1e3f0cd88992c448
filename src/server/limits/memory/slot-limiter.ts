/** Transfer slots of one node. Exact: a slot is taken and released within one turn of the event loop. */
import { AverageHoldTime, HeldSlot, shuttingDown, tooManyTransfers } from '../held-slot.ts'
import type { GrantsAtOnce, NodeSlotLimiter, SlotRequest, TransferDirection, TransferSlot } from '../limiter.ts'

export interface MemorySlotLimiter extends NodeSlotLimiter, GrantsAtOnce, Disposable {
  held(clientId: string, direction: TransferDirection): number
  /** Also takes away the slots that are held. */
  [Symbol.dispose](): void
}

export interface MemorySlotLimiterOptions {
  /** Monotonic ms. */
  readonly now?: () => number
}

export function createMemorySlotLimiter(options: MemorySlotLimiterOptions = {}): MemorySlotLimiter {
  return new SlotLimiterInMemory(options)
}

class SlotLimiterInMemory implements MemorySlotLimiter {
  readonly #queues = new Map<string, SlotQueue>()
  readonly #inFlight = { upload: 0, download: 0 }
  readonly #waiters = { upload: new Set<QueuedRequest>(), download: new Set<QueuedRequest>() }
  readonly #holdTime = { upload: new AverageHoldTime(), download: new AverageHoldTime() }
  readonly #slots = new Set<HeldSlot>()
  readonly #now: () => number
  #closed = false

  constructor({ now }: MemorySlotLimiterOptions) {
    this.#now = now ?? (() => performance.now())
  }

  async acquire(request: SlotRequest, signal: AbortSignal): Promise<TransferSlot> {
    signal.throwIfAborted()
    if (this.#closed) throw shuttingDown()
    const key = keyOf(request.clientId, request.direction)
    const queue = this.#queues.get(key) ?? new SlotQueue()
    this.#queues.set(key, queue)
    try {
      if (!queue.tryTake(request.cap)) await this.#wait(queue, request, signal)
    } catch (error) {
      this.#forgetIdle(key, queue)
      throw error
    }
    return this.#slot(key, queue, request.direction)
  }

  tryAcquire({ clientId, direction, cap }: SlotRequest): TransferSlot | null {
    const key = keyOf(clientId, direction)
    const queue = this.#queues.get(key) ?? new SlotQueue()
    if (this.#closed || !queue.tryTake(cap)) return null
    this.#queues.set(key, queue)
    return this.#slot(key, queue, direction)
  }

  held(clientId: string, direction: TransferDirection): number {
    return this.#queues.get(keyOf(clientId, direction))?.held ?? 0
  }

  looksFree({ clientId, direction, cap }: SlotRequest): boolean {
    return this.held(clientId, direction) < cap
  }

  inFlight(direction: TransferDirection): number {
    return this.#inFlight[direction]
  }

  waiting(direction: TransferDirection): number {
    return this.#waiters[direction].size
  }

  close(): void {
    this.#closed = true
    for (const direction of ['upload', 'download'] as const) {
      for (const waiter of this.#waiters[direction]) waiter.refuse(shuttingDown())
    }
  }

  [Symbol.dispose](): void {
    this.close()
    for (const slot of this.#slots) slot.takeAway(shuttingDown())
  }

  async #wait(queue: SlotQueue, request: SlotRequest, signal: AbortSignal): Promise<void> {
    const { direction, cap } = request
    const refused = () => tooManyTransfers(request, this.#holdTime[direction].retryAfterSeconds(queue.waiting, cap))
    const waiter = new QueuedRequest(queue)
    if (!queue.join(waiter, request.queue)) throw refused()
    const waiters = this.#waiters[direction]
    waiters.add(waiter)
    const timer = setTimeout(() => waiter.refuse(refused()), request.queueWaitMs)
    const onAbort = () => waiter.refuse(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      await waiter.outcome
    } finally {
      clearTimeout(timer)
      signal.removeEventListener('abort', onAbort)
      waiters.delete(waiter)
    }
  }

  #slot(key: string, queue: SlotQueue, direction: TransferDirection): TransferSlot {
    const since = this.#now()
    this.#inFlight[direction] += 1
    const slot = new HeldSlot(() => {
      this.#slots.delete(slot)
      this.#inFlight[direction] -= 1
      this.#holdTime[direction].record(this.#now() - since)
      queue.release()
      this.#forgetIdle(key, queue)
    })
    this.#slots.add(slot)
    return slot
  }

  /** A client without slots and requests takes no memory. */
  #forgetIdle(key: string, queue: SlotQueue): void {
    if (queue.isIdle && this.#queues.get(key) === queue) this.#queues.delete(key)
  }
}

/** A queued request. Compared by identity. */
interface Waiter {
  /** The waiter holds a slot from now on. */
  grant(): void
}

/**
 * The slots of one client in one direction: how many are held, which requests wait. No timers, signals or promises.
 * The cap is that of the latest request, so that a reload applies at once: a lowered cap takes no slot away, and grants
 * none until enough are released.
 */
class SlotQueue {
  #cap = 0
  #held = 0
  readonly #waiting = new Set<Waiter>()

  get held(): number {
    return this.#held
  }

  get waiting(): number {
    return this.#waiting.size
  }

  get isIdle(): boolean {
    return this.#held === 0 && this.#waiting.size === 0
  }

  /** Takes a slot if one is free and no request waits for it. */
  tryTake(cap: number): boolean {
    this.#cap = cap
    this.#grantFree()
    if (this.#waiting.size > 0 || this.#held >= cap) return false
    this.#held += 1
    return true
  }

  /** Joins the end of the queue; false when it holds `queue` requests already. */
  join(waiter: Waiter, queue: number): boolean {
    if (this.#waiting.size >= queue) return false
    this.#waiting.add(waiter)
    return true
  }

  leave(waiter: Waiter): void {
    this.#waiting.delete(waiter)
  }

  /** Releases a slot that was taken or granted; the first waiter gets it. */
  release(): void {
    this.#held -= 1
    this.#grantFree()
  }

  #grantFree(): void {
    for (const waiter of this.#waiting) {
      if (this.#held >= this.#cap) return
      this.#waiting.delete(waiter)
      this.#held += 1
      waiter.grant()
    }
  }
}

/**
 * Settles once: granted or refused, whichever comes first. A refused request leaves the queue in the same turn, so that
 * no slot is granted to it afterwards.
 */
class QueuedRequest implements Waiter {
  readonly #outcome = Promise.withResolvers<void>()
  readonly #queue: SlotQueue

  constructor(queue: SlotQueue) {
    this.#queue = queue
  }

  get outcome(): Promise<void> {
    return this.#outcome.promise
  }

  grant(): void {
    this.#outcome.resolve()
  }

  /** No effect after a grant: then `acquire` resolves, and its caller releases the slot. */
  refuse(reason: unknown): void {
    this.#queue.leave(this)
    this.#outcome.reject(reason)
  }
}

function keyOf(clientId: string, direction: TransferDirection): string {
  return `${direction} ${clientId}`
}

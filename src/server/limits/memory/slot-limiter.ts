/** Transfer slots of one node. Exact: taking and freeing happen in one turn of the event loop. */
import type { Sessions } from '../../access/sessions.ts'
import { HeldSlot } from './held-slot.ts'
import { HoldTime } from './average-hold-time.ts'
import type { NodeSlotLimiter, SlotRequest, TakesAtOnce, TransferDirection, TransferSlot } from '../limiter.ts'
import { SlotLine, type Waiter } from '../valkey/slot-queue.ts'
import { refusal, shuttingDown } from '../valkey/slot-refusals.ts'
import { SlotRight } from '../valkey/credential-watch.ts'

export interface MemorySlotLimiter extends NodeSlotLimiter, TakesAtOnce, Disposable {
  held(clientId: string, direction: TransferDirection): number
  /** Also takes the slots away from those who hold them. */
  [Symbol.dispose](): void
}

export interface MemorySlotLimiterOptions {
  /** Tells when the credential behind a slot is revoked. */
  readonly sessions?: Pick<Sessions, 'watch'>
  /** Monotonic ms. */
  readonly now?: () => number
}

export function createMemorySlotLimiter(options: MemorySlotLimiterOptions = {}): MemorySlotLimiter {
  return new SlotLimiterInMemory(options)
}

class SlotLimiterInMemory implements MemorySlotLimiter {
  readonly #lines = new Map<string, SlotLine>()
  readonly #inFlight = { upload: 0, download: 0 }
  readonly #waiters = { upload: new Set<WaitInLine>(), download: new Set<WaitInLine>() }
  readonly #holdTime = { upload: new HoldTime(), download: new HoldTime() }
  readonly #slots = new Set<HeldSlot>()
  readonly #now: () => number
  readonly #sessions: Pick<Sessions, 'watch'> | null
  #closed = false

  constructor({ now, sessions }: MemorySlotLimiterOptions) {
    this.#now = now ?? (() => performance.now())
    this.#sessions = sessions ?? null
  }

  async acquire(request: SlotRequest, signal: AbortSignal): Promise<TransferSlot> {
    signal.throwIfAborted()
    if (this.#closed) throw shuttingDown()
    const key = keyOf(request.clientId, request.direction)
    const line = this.#lines.get(key) ?? new SlotLine()
    this.#lines.set(key, line)
    const right = new SlotRight(this.#sessions, request.credential)
    try {
      if (!line.tryTake(request.cap)) await this.#wait(line, request, { signal, right })
    } catch (error) {
      right[Symbol.dispose]()
      this.#forgetIdle(key, line)
      throw error
    }
    return this.#slot(key, line, { direction: request.direction, right })
  }

  tryAcquire({ clientId, direction, cap }: Omit<SlotRequest, 'credential'>): TransferSlot | null {
    const key = keyOf(clientId, direction)
    const line = this.#lines.get(key) ?? new SlotLine()
    if (this.#closed || !line.tryTake(cap)) return null
    this.#lines.set(key, line)
    return this.#slot(key, line, { direction, right: null })
  }

  held(clientId: string, direction: TransferDirection): number {
    return this.#lines.get(keyOf(clientId, direction))?.held ?? 0
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

  async #wait(line: SlotLine, request: SlotRequest, { signal, right }: Patience): Promise<void> {
    const refused = () =>
      refusal(request, this.#holdTime[request.direction].retryAfterSeconds(line.waiting, request.cap))
    const waiter = new WaitInLine(line)
    if (!line.join(waiter, request.queue)) throw refused()
    const waiters = this.#waiters[request.direction]
    waiters.add(waiter)
    const timer = setTimeout(() => waiter.refuse(refused()), request.queueWaitMs)
    const aborted = () => waiter.refuse(signal.reason)
    signal.addEventListener('abort', aborted, { once: true })
    right.whenLost(reason => waiter.refuse(reason))
    try {
      await waiter.outcome
    } finally {
      clearTimeout(timer)
      signal.removeEventListener('abort', aborted)
      waiters.delete(waiter)
    }
  }

  #slot(key: string, line: SlotLine, { direction, right }: Holding): TransferSlot {
    const since = this.#now()
    this.#inFlight[direction] += 1
    const slot = new HeldSlot(() => {
      right?.[Symbol.dispose]()
      this.#slots.delete(slot)
      this.#inFlight[direction] -= 1
      this.#holdTime[direction].note(this.#now() - since)
      line.release()
      this.#forgetIdle(key, line)
    })
    this.#slots.add(slot)
    right?.whenLost(reason => slot.takeAway(reason))
    return slot
  }

  /** A client that holds and wants nothing costs no memory. */
  #forgetIdle(key: string, line: SlotLine): void {
    if (line.idle && this.#lines.get(key) === line) this.#lines.delete(key)
  }
}

interface Patience {
  readonly signal: AbortSignal
  readonly right: SlotRight
}

interface Holding {
  readonly direction: TransferDirection
  readonly right: SlotRight | null
}

/**
 * Ends once: granted or refused, whichever comes first. It leaves the line in the same turn in which it is refused, so
 * that no slot is ever granted to one who has gone.
 */
class WaitInLine implements Waiter {
  readonly #settle = Promise.withResolvers<void>()
  readonly #line: SlotLine

  constructor(line: SlotLine) {
    this.#line = line
  }

  get outcome(): Promise<void> {
    return this.#settle.promise
  }

  grant(): void {
    this.#settle.resolve()
  }

  /** Nothing happens when the slot has been granted already: whoever acquired it frees it. */
  refuse(reason: unknown): void {
    this.#line.leave(this)
    this.#settle.reject(reason)
  }
}

function keyOf(clientId: string, direction: TransferDirection): string {
  return `${direction} ${clientId}`
}

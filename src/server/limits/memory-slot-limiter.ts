/** Transfer slots of one node. Exact: taking and freeing happen in one turn of the event loop. */
import { SealiftError } from '../../protocol/errors.ts'
import type { Credential } from '../access/access.ts'
import type { Sessions } from '../access/sessions.ts'
import { HoldTime } from './hold-time.ts'
import type { SlotLimiter, SlotRequest, TransferDirection, TransferSlot } from './limiter.ts'
import { SlotLine, type Waiter } from './slot-line.ts'

export interface MemorySlotLimiter extends SlotLimiter, Disposable {
  /** Slots held by all clients. */
  inFlight(direction: TransferDirection): number
  /** Requests standing in line, of all clients. */
  waiting(direction: TransferDirection): number
  /** The server stops: those in line and all who come later are refused with shutting_down; running transfers go on. */
  close(): void
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
  readonly #slots = new Set<Slot>()
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
    const right = new Right(this.#sessions, request.credential)
    try {
      if (!line.tryTake(request.cap)) await this.#wait(line, request, { signal, right })
    } catch (error) {
      right[Symbol.dispose]()
      this.#forgetIdle(key, line)
      throw error
    }
    return this.#slot(key, line, { direction: request.direction, right })
  }

  held(clientId: string, direction: TransferDirection): number {
    return this.#lines.get(keyOf(clientId, direction))?.held ?? 0
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
    const slot = new Slot(() => {
      right[Symbol.dispose]()
      this.#slots.delete(slot)
      this.#inFlight[direction] -= 1
      this.#holdTime[direction].note(this.#now() - since)
      line.release()
      this.#forgetIdle(key, line)
    })
    this.#slots.add(slot)
    right.whenLost(reason => slot.takeAway(reason))
    return slot
  }

  /** A client that holds and wants nothing costs no memory. */
  #forgetIdle(key: string, line: SlotLine): void {
    if (line.idle && this.#lines.get(key) === line) this.#lines.delete(key)
  }
}

interface Patience {
  readonly signal: AbortSignal
  readonly right: Right
}

interface Holding {
  readonly direction: TransferDirection
  readonly right: Right
}

/** The right to a slot: lost when the credential is revoked, be it in line or with the slot in hand. */
class Right implements Disposable {
  readonly #watch: Disposable | null
  #lost: SealiftError | null = null
  #tell: ((reason: SealiftError) => void) | null = null

  constructor(sessions: Pick<Sessions, 'watch'> | null, credential: Credential | undefined) {
    this.#watch = credential ? (sessions?.watch(credential, reason => this.#lose(reason)) ?? null) : null
  }

  /** Replaces who is told; tells at once when it is lost already. */
  whenLost(tell: (reason: SealiftError) => void): void {
    this.#tell = tell
    if (this.#lost) tell(this.#lost)
  }

  #lose(reason: SealiftError): void {
    this.#lost = reason
    this.#tell?.(reason)
  }

  [Symbol.dispose](): void {
    this.#tell = null
    this.#watch?.[Symbol.dispose]()
  }
}

class Slot implements TransferSlot {
  readonly #free: () => void
  #controller: AbortController | null = null
  #isFree = false

  constructor(free: () => void) {
    this.#free = free
  }

  /** Made when asked for: most transfers end before anyone does. */
  get signal(): AbortSignal {
    this.#controller ??= new AbortController()
    return this.#controller.signal
  }

  takeAway(reason: SealiftError): void {
    this.#controller ??= new AbortController()
    this.#controller.abort(reason)
  }

  [Symbol.dispose](): void {
    if (this.#isFree) return
    this.#isFree = true
    this.#free()
  }
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

function shuttingDown(): SealiftError {
  return new SealiftError('shutting_down', 'The server is stopping; try again in a few seconds')
}

function refusal({ direction, cap }: SlotRequest, retryAfterSeconds: number): SealiftError {
  const [code, limit] =
    direction === 'upload'
      ? (['too_many_uploads', 'concurrentUploads'] as const)
      : (['too_many_downloads', 'concurrentDownloads'] as const)
  const message = `At most ${cap} ${direction}s at once; wait for one to end or try again later`
  return new SealiftError(code, message, { context: { limit, value: cap, remaining: 0, retryAfterSeconds } })
}

import { SealiftError } from '../../protocol/errors.ts'
import { ByteBudget } from './byte-budget.ts'

export interface RequestMemorySettings {
  /** Bytes held for all requests of this process together. */
  readonly bytes: number
  readonly bytesPerClient: number
  /** Requests that may wait in one queue. */
  readonly queue: number
  readonly queueWaitMs: number
}

/** Memory held for one request. Disposing it (once or more) gives it back. */
export type HeldMemory = Disposable

/** A claim of at most this size is small. */
const SMALL_BYTES = 64 * 1024
/** The part of a budget that claims which are not small may use; the rest is kept for small ones. */
const LARGE_SHARE = 0.75

/**
 * The memory of everything that is buffered for requests: JSON bodies, manifests in and out, forms. A request takes its
 * bytes before it buffers any. Each client has a budget of its own within the common one, and a quarter of either is
 * kept for small claims: a few manifests, however slow, keep no one from ending an upload.
 *
 * A claim larger than a budget's share counts as the whole share, so such requests run one at a time.
 */
export class RequestMemory {
  readonly #settings: () => RequestMemorySettings
  readonly #common: TwoBudgets
  readonly #clients = new Map<string, TwoBudgets>()
  readonly #shared = new SharedHolds()

  constructor(settings: () => RequestMemorySettings) {
    this.#settings = settings
    this.#common = new TwoBudgets(() => settings().bytes)
  }

  /** Bytes held now, of all clients. */
  get heldBytes(): number {
    return this.#common.heldBytes
  }

  /** Clients that hold or wait for bytes. */
  get clients(): number {
    return this.#clients.size
  }

  /**
   * Waits in a short queue when the bytes are not free.
   * @throws rate_limited (the client's budget is spent), unavailable (the common one is); the signal's reason
   */
  async take(clientId: string, bytes: number, signal: AbortSignal): Promise<HeldMemory> {
    const until = this.#deadline()
    return both(await this.#takeOwn(clientId, bytes, { signal, until }), () =>
      this.#takeCommon(bytes, { signal, until }),
    )
  }

  /** The same for bytes that several requests use at once: they are taken once of each budget. */
  async takeShared(
    clientId: string,
    { key, bytes }: { readonly key: string; readonly bytes: number },
    signal: AbortSignal,
  ): Promise<HeldMemory> {
    const patience = { signal, until: this.#deadline() }
    const takeOwn = () => this.#takeOwn(clientId, bytes, patience)
    const takeCommon = () => this.#takeCommon(bytes, patience)
    const own = await this.#shared.hold(`${key} ${clientId}`, takeOwn, signal)
    return both(own, () => this.#shared.hold(key, takeCommon, signal))
  }

  #deadline(): number {
    return performance.now() + this.#settings().queueWaitMs
  }

  async #takeOwn(clientId: string, bytes: number, patience: Patience): Promise<HeldMemory> {
    const own = this.#budgetOf(clientId)
    own.users += 1
    const forget = () => {
      own.users -= 1
      if (own.users === 0) this.#clients.delete(clientId)
    }
    const { bytesPerClient } = this.#settings()
    return this.#takeFrom(own, bytes, {
      ...patience,
      held: new Held(forget),
      refusal: () => clientIsOver(bytesPerClient),
    })
  }

  #takeCommon(bytes: number, patience: Patience): Promise<HeldMemory> {
    const { bytes: all } = this.#settings()
    return this.#takeFrom(this.#common, bytes, { ...patience, held: new Held(), refusal: () => allIsTaken(all) })
  }

  #budgetOf(clientId: string): TwoBudgets {
    const known = this.#clients.get(clientId)
    if (known) return known
    const made = new TwoBudgets(() => this.#settings().bytesPerClient)
    this.#clients.set(clientId, made)
    return made
  }

  async #takeFrom(budgets: TwoBudgets, bytes: number, claim: OwnershipProof): Promise<HeldMemory> {
    const claimed = budgets.claimable(bytes)
    try {
      for (const budget of budgets.for(bytes)) {
        if (!budget.tryTake(claimed)) await this.#wait(budget, claimed, claim)
        claim.held.add(() => budget.give(claimed))
      }
      return claim.held
    } catch (error) {
      claim.held[Symbol.dispose]()
      throw error
    }
  }

  async #wait(budget: ByteBudget, bytes: number, { signal, until, refusal }: OwnershipProof): Promise<void> {
    if (budget.waiting >= this.#settings().queue) throw refusal()
    const late = new AbortController()
    const timer = setTimeout(() => late.abort(refusal()), Math.max(0, until - performance.now()))
    try {
      await budget.take(bytes, AbortSignal.any([signal, late.signal]))
    } finally {
      clearTimeout(timer)
    }
  }
}

/** The second hold, with the first one; without it, the first is given back. */
async function both(first: HeldMemory, takeSecond: () => Promise<HeldMemory>): Promise<HeldMemory> {
  const held = new Held(() => first[Symbol.dispose]())
  try {
    const second = await takeSecond()
    held.add(() => second[Symbol.dispose]())
    return held
  } catch (error) {
    held[Symbol.dispose]()
    throw error
  }
}

interface Patience {
  readonly signal: AbortSignal
  /** When it is refused (monotonic ms). */
  readonly until: number
}

interface OwnershipProof extends Patience {
  readonly held: Held
  readonly refusal: () => SealiftError
}

/** One budget, and the share of it that large claims may use. */
class TwoBudgets {
  readonly #large: ByteBudget
  readonly #all: ByteBudget
  readonly #largeBytes: () => number
  /** Claims that hold or wait for some of it. */
  users = 0

  constructor(budgetBytes: () => number) {
    this.#largeBytes = () => Math.floor(budgetBytes() * LARGE_SHARE)
    this.#large = new ByteBudget(this.#largeBytes)
    this.#all = new ByteBudget(budgetBytes)
  }

  get heldBytes(): number {
    return this.#all.heldBytes
  }

  claimable(bytes: number): number {
    return Math.min(bytes, this.#largeBytes())
  }

  /** In the order in which they are to be taken from. */
  for(bytes: number): readonly ByteBudget[] {
    return bytes <= SMALL_BYTES ? [this.#all] : [this.#large, this.#all]
  }
}

class Held implements HeldMemory {
  readonly #giveBack: (() => void)[]

  constructor(...last: (() => void)[]) {
    this.#giveBack = last
  }

  add(giveBack: () => void): void {
    this.#giveBack.push(giveBack)
  }

  [Symbol.dispose](): void {
    for (let give = this.#giveBack.pop(); give; give = this.#giveBack.pop()) give()
  }
}

const RETRY_AFTER_SECONDS = 2

function clientIsOver(value: number): SealiftError {
  return new SealiftError('rate_limited', 'Requests of this client fill the memory it may use; send fewer at once', {
    context: { limit: 'buffers.bytesPerClient', value, remaining: 0, retryAfterSeconds: RETRY_AFTER_SECONDS },
  })
}

function allIsTaken(value: number): SealiftError {
  return new SealiftError('unavailable', 'Other requests fill the memory of the server for requests; try again', {
    context: { limit: 'buffers.bytes', value, remaining: 0, retryAfterSeconds: RETRY_AFTER_SECONDS },
  })
}

interface Shared {
  readonly taking: Promise<Disposable>
  users: number
}

/** Holds of which all users of one key share one: taken for the first, given back after the last. */
export class SharedHolds {
  readonly #holds = new Map<string, Shared>()

  /** @throws what `take` does; when it was another user's that failed, it is tried again. The signal's reason */
  async hold(key: string, take: () => Promise<Disposable>, signal: AbortSignal): Promise<Disposable> {
    for (;;) {
      const known = this.#holds.get(key)
      const shared = known ?? { taking: take(), users: 0 }
      this.#holds.set(key, shared)
      shared.users += 1
      try {
        const held = await shared.taking
        return onlyOnce(() => this.#leave(key, shared, held))
      } catch (error) {
        if (this.#holds.get(key) === shared) this.#holds.delete(key)
        if (!known) throw error
        signal.throwIfAborted()
      }
    }
  }

  #leave(key: string, shared: Shared, held: Disposable): void {
    shared.users -= 1
    if (shared.users > 0) return
    this.#holds.delete(key)
    held[Symbol.dispose]()
  }
}

function onlyOnce(dispose: () => void): Disposable {
  let done = false
  return {
    [Symbol.dispose]() {
      if (!done) dispose()
      done = true
    },
  }
}

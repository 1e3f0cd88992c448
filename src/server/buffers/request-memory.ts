import { RefCounts } from '../../common/ref-counts.ts'
import { SealiftError } from '../../protocol/errors.ts'
import { ByteBudget } from './byte-budget.ts'

export interface RequestMemorySettings {
  /** For all requests of this process together. */
  readonly bytes: number
  readonly bytesPerClient: number
  /** Longest queue, in requests. */
  readonly queue: number
  readonly queueWaitMs: number
}

/** Memory held for one request. Disposing it, once or repeatedly, releases it. */
export type HeldMemory = Disposable

/** The largest small claim. */
const SMALL_BYTES = 64 * 1024
/** The share of a budget that is open to large claims; the rest is reserved for small ones. */
const LARGE_SHARE = 0.75

/**
 * The memory of all buffered bodies: JSON, manifests, forms. A request takes its bytes before it buffers any. Each
 * client has its own budget within the common one, and a quarter of either is reserved for small claims, so that a few
 * slow manifests do not keep a client from completing an upload.
 *
 * A claim larger than a budget's share counts as the whole share, so such requests run one at a time.
 */
export class RequestMemory {
  readonly #settings: () => RequestMemorySettings
  readonly #common: TwoBudgets
  readonly #clients = new RefCounts<string, TwoBudgets>()
  readonly #shared = new SharedHolds()

  constructor(settings: () => RequestMemorySettings) {
    this.#settings = settings
    this.#common = new TwoBudgets(() => settings().bytes)
  }

  /** Bytes held by all clients. */
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

  /** The same for bytes that several requests share: each budget is charged once. */
  async takeShared(
    clientId: string,
    { key, bytes }: { readonly key: string; readonly bytes: number },
    signal: AbortSignal,
  ): Promise<HeldMemory> {
    const wait = { signal, until: this.#deadline() }
    const takeOwn = () => this.#takeOwn(clientId, bytes, wait)
    const takeCommon = () => this.#takeCommon(bytes, wait)
    const own = await this.#shared.hold(`${key} ${clientId}`, takeOwn, signal)
    return both(own, () => this.#shared.hold(key, takeCommon, signal))
  }

  #deadline(): number {
    return performance.now() + this.#settings().queueWaitMs
  }

  async #takeOwn(clientId: string, bytes: number, wait: Wait): Promise<HeldMemory> {
    const own = this.#clients.acquire(clientId, () => new TwoBudgets(() => this.#settings().bytesPerClient))
    const { bytesPerClient } = this.#settings()
    return this.#takeFrom(own.value, bytes, {
      ...wait,
      held: new Held(() => void own.release()),
      refusal: () => clientIsOver(bytesPerClient),
    })
  }

  #takeCommon(bytes: number, wait: Wait): Promise<HeldMemory> {
    const { bytes: all } = this.#settings()
    return this.#takeFrom(this.#common, bytes, { ...wait, held: new Held(), refusal: () => allIsTaken(all) })
  }

  async #takeFrom(budgets: TwoBudgets, bytes: number, claim: BudgetClaim): Promise<HeldMemory> {
    const claimed = budgets.claimable(bytes)
    try {
      for (const budget of budgets.budgetsFor(bytes)) {
        if (!budget.tryTake(claimed)) await this.#wait(budget, claimed, claim)
        claim.held.add(() => budget.give(claimed))
      }
      return claim.held
    } catch (error) {
      claim.held[Symbol.dispose]()
      throw error
    }
  }

  async #wait(budget: ByteBudget, bytes: number, { signal, until, refusal }: BudgetClaim): Promise<void> {
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

/** Both holds as one; the first is released when the second fails. */
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

interface Wait {
  readonly signal: AbortSignal
  /** The deadline (monotonic ms). */
  readonly until: number
}

interface BudgetClaim extends Wait {
  readonly held: Held
  readonly refusal: () => SealiftError
}

/** A budget, and the share of it that is open to large claims. */
class TwoBudgets {
  readonly #large: ByteBudget
  readonly #all: ByteBudget
  readonly #largeBytes: () => number

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

  /** In the order in which bytes are taken. */
  budgetsFor(bytes: number): readonly ByteBudget[] {
    return bytes <= SMALL_BYTES ? [this.#all] : [this.#large, this.#all]
  }
}

class Held implements HeldMemory {
  readonly #release: (() => void)[]

  constructor(...last: (() => void)[]) {
    this.#release = last
  }

  add(release: () => void): void {
    this.#release.push(release)
  }

  [Symbol.dispose](): void {
    for (let give = this.#release.pop(); give; give = this.#release.pop()) give()
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

/** Holds shared by key: taken for the first user, released after the last. */
class SharedHolds {
  readonly #holds = new RefCounts<string, Promise<Disposable>>()

  /** @throws what `take` does; a failure of another user's `take` is retried. The signal's reason */
  async hold(key: string, take: () => Promise<Disposable>, signal: AbortSignal): Promise<Disposable> {
    for (;;) {
      const isFirst = this.#holds.get(key) === undefined
      const { value: taking, release } = this.#holds.acquire(key, take)
      try {
        const held = await taking
        return { [Symbol.dispose]: () => release() && held[Symbol.dispose]() }
      } catch (error) {
        this.#holds.retire(key, taking)
        release()
        if (isFirst) throw error
        signal.throwIfAborted()
      }
    }
  }
}

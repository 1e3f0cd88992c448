/** Takes slots away, and ends the wait for them, when the credential of their request is revoked. */
import type { ClientCredential } from '../access/caller.ts'
import type { Sessions } from '../access/sessions.ts'
import type { GrantsAtOnce, NodeSlotLimiter, SlotRequest, TransferDirection, TransferSlot } from './limiter.ts'

/** Decorates a limiter that knows nothing of credentials. The caller owns `slots`. */
export function watchCredentials(
  slots: NodeSlotLimiter & Partial<GrantsAtOnce>,
  sessions: Pick<Sessions, 'watch'>,
): NodeSlotLimiter & GrantsAtOnce {
  return new CredentialWatch(slots, sessions)
}

class CredentialWatch implements NodeSlotLimiter, GrantsAtOnce {
  readonly #slots: NodeSlotLimiter & Partial<GrantsAtOnce>
  readonly #sessions: Pick<Sessions, 'watch'>

  constructor(slots: NodeSlotLimiter & Partial<GrantsAtOnce>, sessions: Pick<Sessions, 'watch'>) {
    this.#slots = slots
    this.#sessions = sessions
  }

  acquire(request: SlotRequest, signal: AbortSignal): Promise<TransferSlot> {
    const { credential, ...others } = request
    return credential ? this.#acquireWatched(others, credential, signal) : this.#slots.acquire(request, signal)
  }

  tryAcquire(request: SlotRequest): TransferSlot | null {
    return this.#slots.tryAcquire?.(request) ?? null
  }

  held(clientId: string, direction: TransferDirection, signal?: AbortSignal): number | Promise<number> {
    return this.#slots.held(clientId, direction, signal)
  }

  looksFree(request: SlotRequest): boolean {
    return this.#slots.looksFree(request)
  }

  inFlight(direction: TransferDirection): number {
    return this.#slots.inFlight(direction)
  }

  waiting(direction: TransferDirection): number {
    return this.#slots.waiting(direction)
  }

  close(): void {
    this.#slots.close()
  }

  async #acquireWatched(
    request: SlotRequest,
    credential: ClientCredential,
    signal: AbortSignal,
  ): Promise<TransferSlot> {
    const revoked = new AbortController()
    const watch = this.#sessions.watch(credential, reason => revoked.abort(reason))
    try {
      const slot = await this.#slots.acquire(request, AbortSignal.any([signal, revoked.signal]))
      return new WatchedSlot(slot, watch, revoked.signal)
    } catch (error) {
      watch[Symbol.dispose]()
      throw error
    }
  }
}

class WatchedSlot implements TransferSlot {
  readonly #slot: TransferSlot
  readonly #watch: Disposable
  readonly #revoked: AbortSignal

  constructor(slot: TransferSlot, watch: Disposable, revoked: AbortSignal) {
    this.#slot = slot
    this.#watch = watch
    this.#revoked = revoked
  }

  get signal(): AbortSignal {
    return AbortSignal.any([this.#slot.signal, this.#revoked])
  }

  [Symbol.dispose](): void {
    this.#watch[Symbol.dispose]()
    this.#slot[Symbol.dispose]()
  }
}

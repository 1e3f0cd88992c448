/** What the slot limiters of `memory/` and `valkey/` share: a held slot, an estimate of the wait, the refusals. */
import { SealiftError } from '../../protocol/errors.ts'
import type { SlotRequest, TransferSlot } from './limiter.ts'

export class HeldSlot implements TransferSlot {
  readonly #release: () => void
  #controller: AbortController | null = null
  #isReleased = false

  constructor(release: () => void) {
    this.#release = release
  }

  /** Created on first use: most transfers end without it. */
  get signal(): AbortSignal {
    this.#controller ??= new AbortController()
    return this.#controller.signal
  }

  takeAway(reason: unknown): void {
    this.#controller ??= new AbortController()
    this.#controller.abort(reason)
  }

  [Symbol.dispose](): void {
    if (this.#isReleased) return
    this.#isReleased = true
    this.#release()
  }
}

/** Moving average of how long slots are held. */
export class AverageHoldTime {
  #averageMs = 1000

  record(heldMs: number): void {
    this.#averageMs += (heldMs - this.#averageMs) / 8
  }

  /** Estimated seconds until a refused request would get a slot, from 1 to 60. */
  retryAfterSeconds(ahead: number, cap: number): number {
    const seconds = (this.#averageMs * (ahead + 1)) / Math.max(1, cap) / 1000
    return Math.min(60, Math.max(1, Math.ceil(seconds)))
  }
}

export function shuttingDown(): SealiftError {
  return new SealiftError('shutting_down', 'The server is stopping; try again in a few seconds')
}

export function tooManyTransfers({ direction, cap }: SlotRequest, retryAfterSeconds: number): SealiftError {
  const [code, limit] =
    direction === 'upload'
      ? (['too_many_uploads', 'concurrentUploads'] as const)
      : (['too_many_downloads', 'concurrentDownloads'] as const)
  const message = `At most ${cap} ${direction}s at once; wait for one to end or try again later`
  return new SealiftError(code, message, { context: { limit, value: cap, remaining: 0, retryAfterSeconds } })
}

export function slotExpired(): SealiftError {
  const message = 'This node lost contact with Valkey for too long, and the slot of this transfer expired; try again'
  return new SealiftError('unavailable', message, { context: { retryAfterSeconds: 1 } })
}

import type { SealiftError } from '../../../protocol/errors.ts'
import type { TransferSlot } from '../limiter.ts'

/** A slot in somebody's hands. */
export class HeldSlot implements TransferSlot {
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

import type { TransferSlot } from '../limits/limiter.ts'

/** A slot until it is given on: freed when something fails in between. */
export class Handover implements Disposable {
  #slot: TransferSlot | null

  constructor(slot: TransferSlot) {
    this.#slot = slot
  }

  /** Whoever takes it frees it from now on. */
  release(): TransferSlot {
    const slot = this.#slot
    if (!slot) throw new Error('The slot was given on already')
    this.#slot = null
    return slot
  }

  [Symbol.dispose](): void {
    this.#slot?.[Symbol.dispose]()
  }
}

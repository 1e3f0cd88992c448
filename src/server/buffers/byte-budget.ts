interface Waiter {
  readonly bytes: number
  readonly grant: () => void
}

/** A number of bytes that several users share; waiting users are served in order. */
export class ByteBudget {
  readonly #budgetBytes: () => number
  readonly #waiters: Waiter[] = []
  #heldBytes = 0

  /** @param budgetBytes called each time, so that it may change */
  constructor(budgetBytes: () => number) {
    this.#budgetBytes = budgetBytes
  }

  get heldBytes(): number {
    return this.#heldBytes
  }

  /** The number of waiting users. */
  get waiting(): number {
    return this.#waiters.length
  }

  /** Takes `bytes` if they are free and the queue is empty. */
  tryTake(bytes: number): boolean {
    if (this.#waiters.length > 0 || !this.#fits(bytes)) return false
    this.#heldBytes += bytes
    return true
  }

  /**
   * Waits until `bytes` are free; more than the budget is granted when all of it is free. @throws the signal's reason
   */
  async take(bytes: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    if (this.tryTake(bytes)) return
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const waiter = { bytes, grant: resolve }
    const abort = (): void => {
      this.#waiters.splice(this.#waiters.indexOf(waiter), 1)
      reject(signal.reason as Error)
      this.#grant()
    }
    this.#waiters.push(waiter)
    signal.addEventListener('abort', abort, { once: true })
    const granted = () => signal.removeEventListener('abort', abort)
    await promise.finally(granted)
  }

  give(bytes: number): void {
    this.#heldBytes -= bytes
    this.#grant()
  }

  #grant(): void {
    for (let next = this.#waiters[0]; next && this.#fits(next.bytes); next = this.#waiters[0]) {
      this.#waiters.shift()
      this.#heldBytes += next.bytes
      next.grant()
    }
  }

  #fits(bytes: number): boolean {
    return this.#heldBytes === 0 || this.#heldBytes + bytes <= this.#budgetBytes()
  }
}

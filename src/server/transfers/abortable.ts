/**
 * A source that gives up the moment `signal` aborts, also while it waits for bytes that may never come: whoever reads
 * it need not listen to the signal while it pulls.
 *
 * It does not race promises: a race against one long-lived promise keeps every chunk that ever won it.
 */
export function interruptible(source: AsyncIterable<Uint8Array>, signal: AbortSignal): AsyncIterable<Uint8Array> {
  return { [Symbol.asyncIterator]: () => new InterruptibleIterator(source[Symbol.asyncIterator](), signal) }
}

class InterruptibleIterator implements AsyncIterator<Uint8Array> {
  readonly #inner: AsyncIterator<Uint8Array>
  readonly #signal: AbortSignal
  /** Rejects the pull that waits right now; `null` when none does. */
  #rejectPending: ((reason: unknown) => void) | null = null

  constructor(inner: AsyncIterator<Uint8Array>, signal: AbortSignal) {
    this.#inner = inner
    this.#signal = signal
    signal.addEventListener('abort', this.#interrupt, { once: true })
  }

  next(): Promise<IteratorResult<Uint8Array>> {
    const { promise, resolve, reject } = Promise.withResolvers<IteratorResult<Uint8Array>>()
    this.#rejectPending = reject
    if (this.#signal.aborted) this.#interrupt()
    else void this.#pull(resolve, reject)
    return promise
  }

  async return(): Promise<IteratorResult<Uint8Array>> {
    this.#forget()
    const ended = Promise.resolve(this.#inner.return?.())
    // A source that was left in the middle of a pull may never answer.
    if (this.#rejectPending) ended.catch(() => undefined)
    else await ended
    return { done: true, value: undefined }
  }

  async #pull(resolve: (result: IteratorResult<Uint8Array>) => void, reject: (reason: unknown) => void): Promise<void> {
    try {
      const result = await this.#inner.next()
      this.#rejectPending = null
      if (result.done) this.#forget()
      resolve(result)
    } catch (error) {
      this.#rejectPending = null
      this.#forget()
      reject(error)
    }
  }

  #interrupt = (): void => {
    this.#rejectPending?.(this.#signal.reason)
  }

  #forget(): void {
    this.#signal.removeEventListener('abort', this.#interrupt)
  }
}

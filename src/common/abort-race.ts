/**
 * What `work` gives, or the abort of `signal`, whichever is first. The outcome of `work` after an abort is ignored.
 * @param reasonOf what is thrown; the signal's reason by default
 */
export async function raceAbort<T>(
  work: Promise<T>,
  signal: AbortSignal,
  reasonOf: (signal: AbortSignal) => unknown = ({ reason }) => reason,
): Promise<T> {
  const aborted = Promise.withResolvers<never>()
  const onAbort = (): void => aborted.reject(reasonOf(signal))
  if (signal.aborted) onAbort()
  else signal.addEventListener('abort', onAbort, { once: true })
  try {
    return await Promise.race([aborted.promise, work])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}

/** What `work` gives, unless it takes longer than `timeoutMs`: then what `late` returns is thrown. */
export async function raceTimeout<T>(work: Promise<T>, timeoutMs: number, late: () => unknown): Promise<T> {
  const expired = Promise.withResolvers<never>()
  const timer = setTimeout(() => expired.reject(late()), timeoutMs)
  try {
    return await Promise.race([work, expired.promise])
  } finally {
    clearTimeout(timer)
  }
}

/**
 * A source whose pending pull rejects when `signal` aborts, also while it waits for bytes that may never come: its
 * reader need not listen to the signal.
 *
 * It does not race promises: a race against one long-lived promise retains every piece that ever won it.
 */
export function abortableSource<T>(source: AsyncIterable<T>, signal: AbortSignal): AsyncIterable<T> {
  return { [Symbol.asyncIterator]: () => new AbortableIterator(source[Symbol.asyncIterator](), signal) }
}

class AbortableIterator<T> implements AsyncIterator<T> {
  readonly #inner: AsyncIterator<T>
  readonly #signal: AbortSignal
  /** Rejects the pending pull; `null` when there is none. */
  #rejectPending: ((reason: unknown) => void) | null = null

  constructor(inner: AsyncIterator<T>, signal: AbortSignal) {
    this.#inner = inner
    this.#signal = signal
    signal.addEventListener('abort', this.#abort, { once: true })
  }

  next(): Promise<IteratorResult<T>> {
    const { promise, resolve, reject } = Promise.withResolvers<IteratorResult<T>>()
    this.#rejectPending = reject
    if (this.#signal.aborted) this.#abort()
    else void this.#pull(resolve, reject)
    return promise
  }

  async return(): Promise<IteratorResult<T>> {
    this.#unlisten()
    const ended = Promise.resolve(this.#inner.return?.())
    // A source that was left in the middle of a pull may never return.
    if (this.#rejectPending) ended.catch(() => undefined)
    else await ended
    return { done: true, value: undefined }
  }

  async #pull(resolve: (result: IteratorResult<T>) => void, reject: (reason: unknown) => void): Promise<void> {
    try {
      const result = await this.#inner.next()
      this.#rejectPending = null
      if (result.done) this.#unlisten()
      resolve(result)
    } catch (error) {
      this.#rejectPending = null
      this.#unlisten()
      reject(error)
    }
  }

  #abort = (): void => {
    this.#rejectPending?.(this.#signal.reason)
  }

  #unlisten(): void {
    this.#signal.removeEventListener('abort', this.#abort)
  }
}

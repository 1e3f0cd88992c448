import { throwIfAborted } from '../../client/concurrency/abort.ts'
import { isPassing } from '../../client/wire/retry.ts'
import type { FilmReadOptions } from '../../client/index.ts'

/** Failing for so long is worth telling; a single lost connection is not. */
const TROUBLE_MS = 1000
/** Between tries after the client's own patience is over. */
const REST_MS = 5000

/**
 * The line to the server, as those who read over it find it. Repeating is the client's; what is added here is patience:
 * a film waits for the network however long it takes, and goes on at once when the browser says that it is back.
 */
export class ConnectionStatus implements Disposable {
  readonly #onChange: (trouble: boolean) => void
  readonly #events: EventTarget
  #trouble = false
  #back = new AbortController()

  /** @param events where the browser says `online` and `offline` */
  constructor(onChange: (trouble: boolean) => void, events: EventTarget = globalThis) {
    this.#onChange = onChange
    this.#events = events
    events.addEventListener('online', this.#online)
    events.addEventListener('offline', this.#offline)
  }

  /** True while the server cannot be reached. */
  get trouble(): boolean {
    return this.#trouble
  }

  /** Reads until it succeeds, fails for good or is aborted. */
  async run<T>(
    signal: AbortSignal,
    read: (options: Required<Omit<FilmReadOptions, 'onBytes'>>) => Promise<T>,
  ): Promise<T> {
    for (;;) {
      throwIfAborted(signal)
      const back = this.#back.signal
      try {
        const result = await read({
          signal: AbortSignal.any([signal, back]),
          onFetched: () => this.#set(false),
          onRetry: ({ failingMs, waitMs }) => {
            if (failingMs + waitMs >= TROUBLE_MS) this.#set(true)
          },
        })
        this.#set(false)
        return result
      } catch (error) {
        throwIfAborted(signal)
        if (back.aborted) continue
        if (!isPassing(error)) throw error
        this.#set(true)
        await restOrBack(signal, this.#back.signal)
      }
    }
  }

  [Symbol.dispose](): void {
    this.#events.removeEventListener('online', this.#online)
    this.#events.removeEventListener('offline', this.#offline)
  }

  /** Whoever pauses before a repeat is woken by being begun anew. */
  readonly #online = (): void => {
    if (!this.#trouble) return
    this.#back.abort()
    this.#back = new AbortController()
  }

  readonly #offline = (): void => this.#set(true)

  #set(trouble: boolean): void {
    if (trouble === this.#trouble) return
    this.#trouble = trouble
    this.#onChange(trouble)
  }
}

function restOrBack(signal: AbortSignal, back: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    const either = AbortSignal.any([signal, back])
    const timer = setTimeout(resolve, REST_MS)
    either.addEventListener('abort', () => {
      clearTimeout(timer)
      resolve()
    })
  })
}

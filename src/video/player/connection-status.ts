import { throwIfAborted } from '../../client/concurrency/abort.ts'
import { isPassing } from '../../client/wire/retrier.ts'
import type { FilmReadOptions } from '../../client/index.ts'

/** Reads that fail for a shorter time do not count as offline. */
const OFFLINE_MS = 1000
/** Pause after the client's own retries are used up. */
const PAUSE_MS = 5000

/**
 * Whether the server can be reached, judged by the reads of a film. The client retries each read; this class retries
 * without a limit, and at once when the browser reports that it is online.
 */
export class ConnectionStatus {
  readonly #onChange: (isOffline: boolean) => void
  readonly #events: EventTarget
  #isOffline = false
  /** Aborts when the browser is online again, so that pending reads are retried at once. */
  #online = new AbortController()

  /** @param events target of the browser's events `online` and `offline` */
  constructor(onChange: (isOffline: boolean) => void, events: EventTarget = globalThis) {
    this.#onChange = onChange
    this.#events = events
    events.addEventListener('online', this.#onOnline)
    events.addEventListener('offline', this.#onOffline)
  }

  /** True while the server cannot be reached. */
  get isOffline(): boolean {
    return this.#isOffline
  }

  /** Reads until it succeeds, fails for good or is aborted. */
  async run<T>(
    signal: AbortSignal,
    read: (options: Required<Omit<FilmReadOptions, 'onBytes'>>) => Promise<T>,
  ): Promise<T> {
    for (;;) {
      throwIfAborted(signal)
      const online = this.#online.signal
      try {
        const result = await read({
          signal: AbortSignal.any([signal, online]),
          onFetched: () => this.#set(false),
          onRetry: ({ failingMs, waitMs }) => {
            if (failingMs + waitMs >= OFFLINE_MS) this.#set(true)
          },
        })
        this.#set(false)
        return result
      } catch (error) {
        throwIfAborted(signal)
        if (online.aborted) continue
        if (!isPassing(error)) throw error
        this.#set(true)
        await pause(signal, this.#online.signal)
      }
    }
  }

  close(): void {
    this.#events.removeEventListener('online', this.#onOnline)
    this.#events.removeEventListener('offline', this.#onOffline)
  }

  readonly #onOnline = (): void => {
    if (!this.#isOffline) return
    this.#online.abort()
    this.#online = new AbortController()
  }

  readonly #onOffline = (): void => this.#set(true)

  #set(isOffline: boolean): void {
    if (isOffline === this.#isOffline) return
    this.#isOffline = isOffline
    this.#onChange(isOffline)
  }
}

function pause(signal: AbortSignal, online: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    const either = AbortSignal.any([signal, online])
    const timer = setTimeout(resolve, PAUSE_MS)
    either.addEventListener('abort', () => {
      clearTimeout(timer)
      resolve()
    })
  })
}

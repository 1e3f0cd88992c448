import { isSealiftError, type Film, type Parcel, type ParcelItem } from '../../client/node/index.ts'

/** A sender without a new version for this long counts as gone. */
const SENDER_PATIENCE_MS = 10 * 60_000
const WAIT_SECONDS = 30
/** Between looks at a server that cannot be asked just now. */
const PAUSE_MS = 5000

/** Events of a followed parcel, each reported once. */
export interface FollowEvents {
  /** More will never come, though it was promised. */
  onSenderGone(): void
  /** The server could not be asked for news; it will be asked again. */
  onTrouble(error: unknown): void
}

/** The newest version of a parcel, while it is still being sent too. Dispose it to stop following. */
export class FollowedParcel implements Disposable {
  readonly #events: FollowEvents
  readonly #stop = new AbortController()
  #parcel: Parcel
  #films = new Map<number, Film | null>()
  #senderGone = false
  #changed = Promise.withResolvers<void>()

  constructor(parcel: Parcel, events: FollowEvents) {
    this.#parcel = parcel
    this.#events = events
    if (!this.ended) void this.#follow()
  }

  get parcel(): Parcel {
    return this.#parcel
  }

  /** True when nothing more will come: all of it is there, or its sender has gone. */
  get ended(): boolean {
    return this.#senderGone || this.#parcel.complete
  }

  item(index: number): ParcelItem | undefined {
    return this.#parcel.items[index]
  }

  /** The film in the newest version. A description of many segments is read once per version. */
  film(index: number): Film | null {
    const known = this.#films.get(index)
    if (known !== undefined) return known
    const item = this.item(index)
    const film = item ? this.#parcel.film(item) : null
    this.#films.set(index, film)
    return film
  }

  /** The sender has gone; reported by a reader of the growing media. */
  senderIsGone(): void {
    if (this.ended) return
    this.#senderGone = true
    this.#events.onSenderGone()
    this.#wake()
  }

  /** Resolves once `holds`, or nothing more will come; @returns whether it holds. Rejects when `signal` aborts. */
  async until(holds: () => boolean, signal: AbortSignal): Promise<boolean> {
    while (!holds() && !this.ended) await unlessAborted(this.#changed.promise, signal)
    return holds()
  }

  [Symbol.dispose](): void {
    this.#stop.abort()
  }

  async #follow(): Promise<void> {
    const { signal } = this.#stop
    let newsAt = performance.now()
    while (!this.ended && !signal.aborted) {
      const next = await this.#next(signal)
      if (next) {
        newsAt = performance.now()
        this.#take(next)
      } else if (performance.now() - newsAt > SENDER_PATIENCE_MS) this.senderIsGone()
    }
  }

  async #next(signal: AbortSignal): Promise<Parcel | null> {
    try {
      return await this.#parcel.next({ waitSeconds: WAIT_SECONDS, signal })
    } catch (error) {
      if (signal.aborted) return null
      if (isSealiftError(error, 'gone', 'not_found', 'sender_gone')) this.senderIsGone()
      else {
        this.#events.onTrouble(error)
        await pause(PAUSE_MS, signal)
      }
      return null
    }
  }

  #take(parcel: Parcel): void {
    this.#parcel = parcel
    this.#films = new Map()
    this.#wake()
  }

  #wake(): void {
    const { resolve } = this.#changed
    this.#changed = Promise.withResolvers()
    resolve()
  }
}

/** Resolves after a while, or at once when `signal` aborts. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    const timer = setTimeout(done, ms)
    function done(): void {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    signal.addEventListener('abort', done)
  })
}

async function unlessAborted(promise: Promise<void>, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted()
  const aborted = Promise.withResolvers<never>()
  const onAbort = (): void => aborted.reject(signal.reason)
  signal.addEventListener('abort', onAbort)
  try {
    await Promise.race([promise, aborted.promise])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}

import type { ChangeFeed, ChangeListener } from './change-feed.ts'

/** A feed of one process, and what the feed of a cluster needs of it. */
export interface LocalChangeFeed extends ChangeFeed {
  /** Wakes all listeners of all topics: any record may have changed. */
  announceAll(): void
  readonly hasListeners: boolean
}

/** Wakes listeners of this process. A topic without listeners takes no memory. */
export function createMemoryChangeFeed(): LocalChangeFeed {
  return new MemoryChangeFeed()
}

class MemoryChangeFeed implements LocalChangeFeed {
  readonly #topics = new Map<string, Set<MemoryListener>>()

  announce(topic: string): void {
    for (const listener of this.#topics.get(topic) ?? []) listener.wake()
  }

  announceAll(): void {
    for (const topic of this.#topics.keys()) this.announce(topic)
  }

  get hasListeners(): boolean {
    return this.#topics.size > 0
  }

  listen(topic: string): ChangeListener {
    const listeners = this.#topics.get(topic) ?? new Set()
    this.#topics.set(topic, listeners)
    const listener = new MemoryListener(() => {
      listeners.delete(listener)
      if (listeners.size === 0 && this.#topics.get(topic) === listeners) this.#topics.delete(topic)
    })
    listeners.add(listener)
    return listener
  }
}

class MemoryListener implements ChangeListener {
  readonly #leave: () => void
  #announced = false
  #resolve: ((announced: boolean) => void) | null = null

  constructor(leave: () => void) {
    this.#leave = leave
  }

  wake(): void {
    this.#announced = true
    this.#resolve?.(true)
  }

  async next(timeoutMs: number, signal: AbortSignal): Promise<boolean> {
    signal.throwIfAborted()
    const announced = this.#announced || (await this.#wait(timeoutMs, signal))
    signal.throwIfAborted()
    if (announced) this.#announced = false
    return announced
  }

  /** A pending `next` resolves false. */
  [Symbol.dispose](): void {
    this.#leave()
    this.#resolve?.(false)
  }

  async #wait(timeoutMs: number, signal: AbortSignal): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>()
    const onEnd = () => resolve(false)
    const timer = setTimeout(onEnd, timeoutMs)
    signal.addEventListener('abort', onEnd, { once: true })
    this.#resolve = resolve
    try {
      return await promise
    } finally {
      this.#resolve = null
      clearTimeout(timer)
      signal.removeEventListener('abort', onEnd)
    }
  }
}

import type { ChangeFeed, ChangeListener } from './change-feed.ts'

/** A feed of one process, and what another that stands on it needs. */
export interface LocalChangeFeed extends ChangeFeed {
  /** Wakes everyone: something may have changed, and nobody knows what. */
  announceAll(): void
  readonly isHeard: boolean
}

/** Wakes those who wait within this process. Forgets a topic as soon as nobody listens to it. */
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

  get isHeard(): boolean {
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
  #answer: ((announced: boolean) => void) | null = null

  constructor(leave: () => void) {
    this.#leave = leave
  }

  wake(): void {
    this.#announced = true
    this.#answer?.(true)
  }

  async next(timeoutMs: number, signal: AbortSignal): Promise<boolean> {
    signal.throwIfAborted()
    const announced = this.#announced || (await this.#wait(timeoutMs, signal))
    signal.throwIfAborted()
    if (announced) this.#announced = false
    return announced
  }

  /** Whoever still waits is told that nothing came. */
  [Symbol.dispose](): void {
    this.#leave()
    this.#answer?.(false)
  }

  async #wait(timeoutMs: number, signal: AbortSignal): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>()
    const giveUp = () => resolve(false)
    const timer = setTimeout(giveUp, timeoutMs)
    signal.addEventListener('abort', giveUp, { once: true })
    this.#answer = resolve
    try {
      return await promise
    } finally {
      this.#answer = null
      clearTimeout(timer)
      signal.removeEventListener('abort', giveUp)
    }
  }
}

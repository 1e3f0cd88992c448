/** The configuration in force. Whoever handles a request reads `current` then; what already runs keeps what it was granted. */
import { mergeLive } from './merge-live.ts'
import type { ServerConfig } from './schema.ts'

export interface LiveConfig {
  readonly current: ServerConfig
  /** Called after each change, in the order of subscription. Dispose the result to stop. */
  subscribe(listener: (next: ServerConfig, previous: ServerConfig) => void): Disposable
}

/** A `LiveConfig` and the right to change it. */
export interface LiveConfigHolder extends LiveConfig {
  /**
   * Takes over what can change while the server runs.
   * @returns the keys that differ but need a restart
   * @throws ConfigError when what runs and what changes do not fit together; nothing has changed then
   */
  apply(next: ServerConfig): readonly string[]
}

export function createLiveConfig(initial: ServerConfig): LiveConfigHolder {
  let current = initial
  const listeners = new Set<(next: ServerConfig, previous: ServerConfig) => void>()
  return {
    get current() {
      return current
    },
    subscribe(listener) {
      // Wrapped, so that one function subscribed twice is two subscriptions.
      const own: typeof listener = (next, previous) => listener(next, previous)
      listeners.add(own)
      return { [Symbol.dispose]: () => void listeners.delete(own) }
    },
    apply(next) {
      const { config, pending } = mergeLive(current, next)
      const previous = current
      current = config
      for (const listener of listeners) listener(config, previous)
      return pending
    },
  }
}

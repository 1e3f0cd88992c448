/**
 * The current configuration. Each request reads it anew; running transfers retain the settings that they began with.
 */
import { isDeepStrictEqual } from 'node:util'

import type { Node } from './fields.ts'
import { checkTogether } from './parse-config.ts'
import { isMap } from './raw.ts'
import { configSchema, type ServerConfig } from './config-schema.ts'

export interface LiveConfig {
  readonly current: ServerConfig
  /** Called after each change, in the order of subscription. Dispose the result to stop. */
  subscribe(listener: (next: ServerConfig, previous: ServerConfig) => void): Disposable
}

/** A `LiveConfig` that can be changed. */
export interface LiveConfigHolder extends LiveConfig {
  /**
   * Applies the settings that can change while the server runs.
   * @returns the keys that differ but need a restart
   * @throws ConfigError when the result is invalid; nothing changes then
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

export interface Merged {
  readonly config: ServerConfig
  /** Keys that differ but need a restart. */
  readonly pending: readonly string[]
}

/**
 * `next` where a setting may change while the server runs, else `current`. @throws ConfigError for an invalid result
 */
export function mergeLive(current: ServerConfig, next: ServerConfig): Merged {
  const pending: string[] = []
  const config = merge(configSchema, { current, next, key: '' }, pending) as ServerConfig
  return { config: checkTogether(config), pending }
}

interface Pair {
  readonly current: unknown
  readonly next: unknown
  readonly key: string
}

function merge(node: Node, pair: Pair, pending: string[]): unknown {
  if (node.kind === 'field') {
    if (node.facts.live || isDeepStrictEqual(pair.current, pair.next)) return pair.next
    pending.push(pair.key)
    return pair.current
  }
  if (node.kind === 'named' || !isMap(pair.current) || !isMap(pair.next)) return pair.next
  const { current, next } = pair
  return Object.fromEntries(
    Object.entries(node.fields).map(([name, child]) => {
      const inside = child.kind === 'field' ? name + child.suffix : name
      const key = pair.key === '' ? name : `${pair.key}.${name}`
      return [inside, merge(child, { current: current[inside], next: next[inside], key }, pending)]
    }),
  )
}

import { isDeepStrictEqual } from 'node:util'

import type { Node } from './fields.ts'
import { checkTogether } from './parse-config.ts'
import { isMap } from './raw.ts'
import { configSchema, type ServerConfig } from './schema.ts'

export interface Merged {
  readonly config: ServerConfig
  /** Keys that differ but keep their value until a restart. */
  readonly pending: readonly string[]
}

/** `next` where a value may change while the server runs, `current` elsewhere. @throws ConfigError when the two do not fit together */
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

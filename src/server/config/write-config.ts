/** Values as they are written in a file: the opposite of parsing, exact. */
import { stringify } from 'yaml'

import type { Field, Node } from './fields.ts'
import { configSchema, type ServerConfig } from './config-schema.ts'

const SIZE_STEPS: readonly (readonly [string, number])[] = [
  ['TiB', 2 ** 40],
  ['GiB', 2 ** 30],
  ['MiB', 2 ** 20],
  ['KiB', 2 ** 10],
]

const DURATION_STEPS: readonly (readonly [string, number])[] = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
]

/** `8388608` → `8MiB`; a number that is no whole number of any unit stays one. */
export function writeSize(bytes: number): string | number {
  return writeInSteps(bytes, SIZE_STEPS) ?? bytes
}

/** `60000` → `1m`; never loses a millisecond. */
export function writeDuration(ms: number): string {
  return writeInSteps(ms, DURATION_STEPS) ?? `${ms}ms`
}

function writeInSteps(value: number, steps: readonly (readonly [string, number])[]): string | null {
  const step = value === 0 ? undefined : steps.find(([, unit]) => value % unit === 0)
  return step ? `${value / step[1]}${step[0]}` : null
}

const HIDDEN = '(hidden)'

/** The written form of a parsed value, secrets hidden. */
export function writeValue(node: Node, value: unknown): unknown {
  if (node.kind === 'field') return writeField(node, value)
  if (value === null || typeof value !== 'object') return value
  const values = new Map<string, unknown>(Object.entries(value))
  if (node.kind === 'named') {
    return Object.fromEntries([...values].map(([name, entry]) => [name, writeValue(node.entry, entry)]))
  }
  return Object.fromEntries(
    Object.entries(node.fields).map(([key, child]) => {
      const name = child.kind === 'field' ? key + child.suffix : key
      return [key, writeValue(child, values.get(name))]
    }),
  )
}

function writeField({ facts, suffix }: Field<unknown, string>, value: unknown): unknown {
  if (value === null || value === undefined) return null
  if (facts.secret) return Array.isArray(value) ? value.map(hideSecrets) : HIDDEN
  if (typeof value !== 'number') return value
  if (facts.type === 'size') return writeSize(value)
  if (facts.type === 'duration') return writeDuration(suffix === 'Seconds' ? value * 1000 : value)
  return value
}

function hideSecrets(entry: unknown): unknown {
  return typeof entry === 'object' && entry !== null && 'sha256' in entry ? { ...entry, sha256: HIDDEN } : HIDDEN
}

/** The configuration in force as YAML, every value written out, secrets replaced by `(hidden)`. */
export function printConfig(config: ServerConfig): string {
  return stringify(writeValue(configSchema, config), { lineWidth: 0 })
}

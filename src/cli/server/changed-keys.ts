import { isDeepStrictEqual } from 'node:util'

/** Inside the program durations carry their unit; in the file they do not. */
const UNIT_SUFFIX = /(Ms|Seconds)$/

/** The keys whose values differ, as they are written in a file: `tiers.default.queue`. Never a value. */
export function changedKeys(previous: unknown, next: unknown, key = ''): string[] {
  if (isDeepStrictEqual(previous, next)) return []
  if (!isPlainMap(previous) || !isPlainMap(next)) return [key.replace(UNIT_SUFFIX, '')]
  const names = new Set([...Object.keys(previous), ...Object.keys(next)])
  return [...names].flatMap(name => changedKeys(previous[name], next[name], key === '' ? name : `${key}.${name}`))
}

function isPlainMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** From written values to a checked, frozen configuration, or to every mistake in them at once. Pure. */
import { join } from 'node:path'

import type { z } from 'zod'

import { ConfigError, type ConfigProblem, suggest } from './config-error.ts'
import { crossChecks } from './cross-checks.ts'
import type { Node } from './fields.ts'
import { formatPath, getIn, isMap, mergeRaw, type Path, type RawMap, withoutPath } from './raw.ts'
import { configSchema, type ServerConfig } from './config-schema.ts'

/**
 * @param raw the written values, keys as in config/default.yaml; what is missing has its default
 * @param originOf where the value at a path was written
 * @throws ConfigError with every mistake
 */
export function parseConfig(raw: RawMap, originOf: (path: Path) => string | null = () => null): ServerConfig {
  const values = fillIn(configSchema, raw)
  const parsed = configSchema.schema.safeParse(values)
  if (!parsed.success) {
    const own = parsed.error.issues.filter(issue => !isInherited(issue.path as Path, raw))
    throw new ConfigError([
      ...own.flatMap(issue => describe(issue, originOf)),
      ...laterProblems(values, parsed.error.issues, originOf),
    ])
  }
  return checkTogether(complete(parsed.data), originOf)
}

/** Checks the rules between settings and freezes the result. @throws ConfigError */
export function checkTogether(
  config: ServerConfig,
  originOf: (path: Path) => string | null = () => null,
): ServerConfig {
  const problems = crossChecks(config).map(({ key, message }) => ({ key, message, origin: originOf(parsePath(key)) }))
  if (problems.length > 0) throw new ConfigError(problems)
  return deepFreeze(config)
}

/** Fills in the paths that depend on `dataDirectory`. */
function complete(parsed: z.output<typeof configSchema.schema>): ServerConfig {
  const { dataDirectory, storage, records } = parsed
  return {
    ...parsed,
    storage: { ...storage, directory: storage.directory ?? join(dataDirectory, 'blobs') },
    records: { ...records, file: records.file ?? join(dataDirectory, 'records.sqlite') },
  }
}

/** An empty section (`listen:`) is an empty map; a tier inherits missing settings from the base tier. */
function fillIn(node: Node, value: unknown): unknown {
  if (node.kind === 'field') return value
  if (value === null && !(node.kind === 'section' && node.optional)) return {}
  if (!isMap(value)) return value
  if (node.kind === 'section') {
    return Object.fromEntries(
      Object.entries(value).map(([key, inner]) => [
        key,
        Object.hasOwn(node.fields, key) ? fillIn(node.fields[key] ?? node, inner) : inner,
      ]),
    )
  }
  const base = value[node.base] ?? {}
  return Object.fromEntries(
    Object.entries(value).map(([name, entry]) => {
      const filled = entry ?? {}
      const whole = isMap(base) && isMap(filled) && name !== node.base ? mergeRaw(base, filled) : filled
      return [name, fillIn(node.entry, whole)]
    }),
  )
}

/** A mistake in the base tier is reported once, not again for each tier that inherits it. */
function isInherited(path: Path, raw: RawMap): boolean {
  const [section, tier, ...rest] = path
  if (section !== 'tiers' || tier === undefined || tier === 'default' || rest.length === 0) return false
  return getIn(raw, path) === undefined && getIn(raw, ['tiers', 'default', ...rest]) !== undefined
}

/** Problems by the rules between settings, where the settings are valid by themselves. */
function laterProblems(
  values: unknown,
  issues: readonly z.core.$ZodIssue[],
  originOf: (path: Path) => string | null,
): ConfigProblem[] {
  const wrong = issues.flatMap(issue =>
    issue.code === 'unrecognized_keys' ? issue.keys.map(key => [...issue.path, key]) : [issue.path],
  ) as Path[]
  const pruned = wrong.reduce((rest, path) => withoutPath(rest, path), isMap(values) ? values : {})
  const parsed = configSchema.schema.safeParse(pruned)
  if (!parsed.success) return []
  const wrongKeys = wrong.map(path => formatPath(path))
  return crossChecks(complete(parsed.data))
    .filter(({ reads }) => !reads.some(key => wrongKeys.some(bad => isWithin(bad, key) || isWithin(key, bad))))
    .map(({ key, message }) => ({ key, message, origin: originOf(parsePath(key)) }))
}

function isWithin(key: string, outer: string): boolean {
  return key === outer || key.startsWith(`${outer}.`) || key.startsWith(`${outer}[`)
}

function describe(issue: z.core.$ZodIssue, originOf: (path: Path) => string | null): ConfigProblem[] {
  const path = issue.path as Path
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map(key => unknownKey([...path, key], keysAt(path), originOf))
  }
  const inner = issue.code === 'invalid_key' ? issue.issues[0]?.message : undefined
  return [{ key: formatPath(path), message: inner ?? issue.message, origin: originOf(path) }]
}

function unknownKey(path: Path, known: readonly string[], originOf: (path: Path) => string | null): ConfigProblem {
  const meant = suggest(String(path.at(-1)), known)
  const hint = meant === null ? '' : `; did you mean ${meant}?`
  return { key: formatPath(path), message: `is not a key of the configuration${hint}`, origin: originOf(path) }
}

/** The keys that are allowed at a path. */
function keysAt(path: Path): readonly string[] {
  let node: Node = configSchema
  for (const key of path) {
    if (node.kind === 'field') return node.facts.entryKeys
    const next: Node | undefined = node.kind === 'named' ? node.entry : node.fields[key]
    if (next === undefined) return []
    node = next
  }
  if (node.kind === 'field') return node.facts.entryKeys
  return node.kind === 'section' ? Object.keys(node.fields) : []
}

function parsePath(key: string): Path {
  return [...key.matchAll(/[^.[\]]+/g)].map(([part]) => (/^\d+$/.test(part) ? Number(part) : part))
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value)
    for (const inner of Object.values(value)) deepFreeze(inner)
  }
  return value
}

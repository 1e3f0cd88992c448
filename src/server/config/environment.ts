/** The only reader of `process.env`. */
import { parse } from 'yaml'

import { type ConfigProblem, suggest } from './config-error.ts'
import type { Field, FieldFacts, Node } from './fields.ts'
import { formatPath, type Layer, type RawMap, setIn } from './raw.ts'
import { configSchema } from './config-schema.ts'

export type Environment = Readonly<Record<string, string | undefined>>

export function processEnvironment(): Environment {
  return process.env
}

/** Read by the command line, or naming the file itself; not settings of the server. */
const OTHER_VARIABLES = ['SEALIFT_CONFIG', 'SEALIFT_SERVER', 'SEALIFT_TOKEN', 'SEALIFT_DEBUG']

/** Set by the supervisor for its workers: SHA-256 (hex) of the token that they share. */
export const WORKER_TOKEN_VARIABLE = 'SEALIFT_WORKER_TOKEN_SHA256'

export function workerTokenHash(environment: Environment): string | undefined {
  const hash = environment[WORKER_TOKEN_VARIABLE] ?? ''
  return /^[0-9a-f]{64}$/.test(hash) ? hash : undefined
}

/** For tests, benchmarks and the compose file; harmless where a server inherits them. */
const TOOL_VARIABLE = /^SEALIFT_(SEED|CHROMIUM|DOMAIN|(TEST|BENCH)_\w+)$/

/** What Kubernetes sets in every container beside a service that is called `sealift`. */
const SERVICE_LINK = /^SEALIFT_(SERVICE_(HOST|PORT(_\w+)?)|PORT(_\d+_(TCP|UDP)(_(PROTO|PORT|ADDR))?)?)$/

/** The path of the configuration file that the environment names; `null` when it names none. */
export function configFileOf(environment: Environment): string | null {
  return environment['SEALIFT_CONFIG'] || null
}

/** The settings in the environment. An empty variable is as good as none. */
export function readEnvironment(environment: Environment): { layer: Layer; problems: readonly ConfigProblem[] } {
  const problems: ConfigProblem[] = []
  const origins = new Map<string, string>()
  let values: RawMap = {}
  for (const [name, found] of settingsIn(environment, problems)) {
    const written = environment[name] ?? ''
    const read = readValue(found, written)
    if (!read.ok) {
      problems.push({ key: formatPath(found.path), message: 'is not valid YAML or JSON', origin: name })
      continue
    }
    const path = found.variable.file ? [...found.path.slice(0, -1), `${found.path.at(-1) ?? ''}File`] : found.path
    values = setIn(values, path, read.value)
    origins.set(formatPath(path), name)
  }
  return { layer: { values, originOf: path => nearest(origins, path) }, problems }
}

/** Whole sections first, so that a single value beside them wins. */
function settingsIn(environment: Environment, problems: ConfigProblem[]): [string, FoundVariable][] {
  const settings: [string, FoundVariable][] = []
  for (const [name, value] of Object.entries(environment)) {
    if (!name.startsWith(PREFIX) || value === undefined || value === '' || isForOthers(name)) continue
    const found = findVariable(name)
    if (found === null) problems.push(unknownVariable(name))
    else settings.push([name, found])
  }
  return settings.sort(([, one], [, other]) => one.path.length - other.path.length)
}

function isForOthers(name: string): boolean {
  return (
    OTHER_VARIABLES.includes(name) ||
    name === WORKER_TOKEN_VARIABLE ||
    TOOL_VARIABLE.test(name) ||
    SERVICE_LINK.test(name)
  )
}

function unknownVariable(name: string): ConfigProblem {
  const names = [...VARIABLES.map(variable => variable.name.replace('<NAME>', 'DEFAULT')), ...OTHER_VARIABLES]
  const meant = suggest(name, names)
  const hint = meant === null ? '' : `; did you mean ${meant}?`
  return { key: '', message: `is not a variable of Sealift${hint}`, origin: name }
}

type Read = { readonly ok: true; readonly value: unknown } | { readonly ok: false }

function readValue({ variable }: FoundVariable, written: string): Read {
  const type: FieldFacts['type'] = variable.file ? 'text' : (variable.field?.facts.type ?? 'object')
  if (type === 'text' || type === 'choice' || type === 'size' || type === 'duration')
    return { ok: true, value: written }
  try {
    const value: unknown = parse(written, { prettyErrors: false, logLevel: 'error' })
    return { ok: true, value: type === 'list' && typeof value === 'string' ? splitList(value) : value }
  } catch {
    return { ok: false }
  }
}

/** A list of plain words may be written without brackets: `10.0.0.0/8, loopback`. */
function splitList(words: string): string[] {
  return words.split(',').map(word => word.trim())
}

/** The variable that set the value at `path`, or something around it, or something in it. */
function nearest(origins: ReadonlyMap<string, string>, path: readonly (string | number)[]): string | null {
  for (let length = path.length; length > 0; length -= 1) {
    const name = origins.get(formatPath(path.slice(0, length)))
    if (name !== undefined) return name
  }
  return null
}

export const PREFIX = 'SEALIFT_'

/** Stands for the name of a tier in a path. */
export const ANY_NAME = '*'

export interface Variable {
  /** With `<NAME>` where the operator chooses the name. */
  readonly name: string
  readonly path: readonly string[]
  /** `null`: a whole section, given as YAML or JSON. */
  readonly field: Field<unknown, string> | null
  readonly file: boolean
}

export function variableName(path: readonly string[]): string {
  return PREFIX + path.map(key => (key === ANY_NAME ? '<NAME>' : constantCase(key))).join('_')
}

function constantCase(key: string): string {
  return key
    .replaceAll(/([a-z0-9])([A-Z])/g, '$1_$2')
    .replaceAll('-', '_')
    .toUpperCase()
}

/** Every variable there is, in the order of the schema. */
export const VARIABLES: readonly Variable[] = variablesOf(configSchema, [])

function variablesOf(node: Node, path: readonly string[]): Variable[] {
  if (node.kind === 'field') {
    const plain = { name: variableName(path), path, field: node, file: false }
    return node.facts.file ? [plain, { ...plain, name: `${plain.name}_FILE`, file: true }] : [plain]
  }
  const whole = { name: variableName(path), path, field: null, file: false }
  if (node.kind === 'named') return [whole, ...variablesOf(node.entry, [...path, ANY_NAME])]
  const inner = Object.entries(node.fields).flatMap(([key, child]) => variablesOf(child, [...path, key]))
  return node.optional ? [whole, ...inner] : inner
}

export interface FoundVariable {
  readonly variable: Variable
  /** The path with the chosen name filled in. */
  readonly path: readonly string[]
}

/** What a variable's name stands for; `null` when it stands for nothing. */
export function findVariable(name: string): FoundVariable | null {
  for (const variable of VARIABLES) {
    const pattern = new RegExp(`^${variable.name.replace('<NAME>', '([A-Z][A-Z0-9_]*?)')}$`)
    const match = pattern.exec(name)
    if (match) {
      const chosen = (match[1] ?? '').toLowerCase().replaceAll('_', '-')
      return { variable, path: variable.path.map(key => (key === ANY_NAME ? chosen : key)) }
    }
  }
  return null
}

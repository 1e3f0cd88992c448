/**
 * Names of environment variables: `SEALIFT_` and the path of the key in capitals, with `_` between words:
 * `listen.publicUrl` is SEALIFT_LISTEN_PUBLIC_URL, `tiers.default.storedBytes` is SEALIFT_TIERS_DEFAULT_STORED_BYTES.
 * A field that may come from a file has a second name that ends in `_FILE`.
 */
import type { Field, Node } from './fields.ts'
import { configSchema } from './schema.ts'

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

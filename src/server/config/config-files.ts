/** A configuration file: its values, and the line of each. */
import { readFile } from 'node:fs/promises'

import { type Document, isMap as isYamlMap, isNode, LineCounter, parse, parseDocument } from 'yaml'

import type { ConfigProblem } from './config-error.ts'
import type { FieldFacts, Node } from './fields.ts'
import { formatPath, getIn, isMap, type Layer, type Path, type RawMap, setIn, withoutPath } from './raw.ts'
import { configSchema } from './config-schema.ts'

/** Reads YAML (and so JSON). Errors name line and kind, never the text around: it may hold a secret. */
export function readYaml(text: string, name: string): { layer: Layer; problems: readonly ConfigProblem[] } {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, logLevel: 'silent', merge: true })
  const empty: Layer = { values: {}, originOf: () => null }
  if (document.errors.length > 0) {
    const problems = document.errors.map(error => ({
      key: '',
      message: `is not valid YAML (${error.code.toLowerCase().replaceAll('_', ' ')})`,
      origin: `${name}:${lines.linePos(error.pos[0]).line}`,
    }))
    return { layer: empty, problems }
  }
  const values: unknown = document.toJS({ maxAliasCount: 100 }) ?? {}
  if (!isMap(values)) return { layer: empty, problems: [{ key: '', message: 'must be a map of keys', origin: name }] }
  const originOf = (path: Path) => {
    const line = lineOf(document, lines, path)
    return line === null ? null : `${name}:${line}`
  }
  return { layer: { values, originOf }, problems: [] }
}

/**
 * The line of the key at `path`, or of the nearest one around it; `null` when the file does not have its first key.
 */
function lineOf(document: Document, lines: LineCounter, path: Path): number | null {
  for (let length = path.length; length > 0; length -= 1) {
    const offset = offsetOf(document, path.slice(0, length))
    if (offset !== null) return lines.linePos(offset).line
  }
  return null
}

function offsetOf(document: Document, path: Path): number | null {
  const parent: unknown = path.length === 1 ? document.contents : document.getIn(path.slice(0, -1), true)
  if (isYamlMap(parent)) {
    const pair = parent.items.find(item => String(item.key) === String(path.at(-1)))
    if (pair && isNode(pair.key) && pair.key.range) return pair.key.range[0]
  }
  const node: unknown = document.getIn(path, true)
  return isNode(node) && node.range ? node.range[0] : null
}

const MAX_FILE_BYTES = 2 ** 22

export type ReadText = (path: string) => Promise<string>

export const readTextFile: ReadText = async path => {
  const text = await readFile(path, 'utf8')
  if (text.length > MAX_FILE_BYTES) throw new Error('larger than 4 MiB')
  return text
}

/** Replaces every `…File` key of a layer by what its file holds. */
export async function readValueFiles(
  layer: Layer,
  read: ReadText,
): Promise<{ layer: Layer; problems: readonly ConfigProblem[] }> {
  const problems: ConfigProblem[] = []
  const fromFiles = new Map<string, readonly string[]>()
  let values = layer.values
  for (const { path, facts } of fileFields(configSchema, [])) {
    const filePath = [...path.slice(0, -1), `${path.at(-1) ?? ''}File`]
    const named = getIn(values, filePath)
    if (named === undefined) continue
    values = withoutPath(values, filePath)
    if (named === null) continue
    const problem = (message: string) =>
      problems.push({ key: formatPath(filePath), message, origin: layer.originOf(filePath) })
    if (getIn(values, path) !== undefined) problem(`and ${formatPath(path)} are both set; keep one`)
    const content = await valueOf(named, facts, read)
    if (!content.ok) problem(content.message)
    // An unreadable file leaves the key unset, so that the rest is still checked.
    else values = setIn(values, path, content.value)
    fromFiles.set(formatPath(path), filePath)
  }
  return { layer: withOrigins(values, layer, fromFiles), problems }
}

function withOrigins(values: RawMap, layer: Layer, fromFiles: ReadonlyMap<string, readonly string[]>): Layer {
  return {
    values,
    originOf(path) {
      for (let length = path.length; length > 0; length -= 1) {
        const filePath = fromFiles.get(formatPath(path.slice(0, length)))
        if (filePath !== undefined) return layer.originOf(filePath)
      }
      return layer.originOf(path)
    },
  }
}

type Content = { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly message: string }

async function valueOf(named: unknown, facts: FieldFacts, read: ReadText): Promise<Content> {
  if (typeof named !== 'string' || named === '') return { ok: false, message: 'must be the path of a file' }
  try {
    const text = await read(named)
    return facts.type === 'text' ? { ok: true, value: text.trim() } : parseQuietly(text)
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : null
    return { ok: false, message: `the file cannot be read${code === null ? '' : ` (${code})`}` }
  }
}

/** The message of a parser quotes what it cannot read, so it goes no further. */
function parseQuietly(text: string): Content {
  try {
    const value: unknown = parse(text, { prettyErrors: false, logLevel: 'error' })
    return { ok: true, value }
  } catch {
    return { ok: false, message: 'the file is not valid YAML or JSON' }
  }
}

function fileFields(node: Node, path: readonly string[]): { path: readonly string[]; facts: FieldFacts }[] {
  if (node.kind === 'field') return node.facts.file ? [{ path, facts: node.facts }] : []
  if (node.kind === 'named') return []
  return Object.entries(node.fields).flatMap(([key, child]) => fileFields(child, [...path, key]))
}

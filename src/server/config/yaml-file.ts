/** A configuration file: its values, and the line of each. */
import { isMap as isYamlMap, isNode, LineCounter, parseDocument, type Document } from 'yaml'

import type { ConfigProblem } from './config-error.ts'
import { isMap, type Layer, type Path } from './raw.ts'

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

/** The line of the key at `path`, or of the nearest one around it; `null` when the file does not have its first key. */
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

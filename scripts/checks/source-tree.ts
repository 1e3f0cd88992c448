import { readdirSync, readFileSync } from 'node:fs'
import { join, relative, sep } from 'node:path'

/** The files of the repository by their path, with `/` between folders on every system; what is no text is empty. */
export type SourceTree = ReadonlyMap<string, string>

export interface Problem {
  readonly file: string
  /** Counted from 1. */
  readonly line: number
  readonly message: string
}

/** What one check found, and how many things it looked at. */
export interface CheckResult {
  readonly looked: string
  readonly problems: readonly Problem[]
}

const SKIPPED_FOLDERS = new Set(['node_modules', 'dist', 'data', '.git', '.ci'])
const TEXT_FILE = /\.(ts|md|ya?ml|json|css|html|toml|py|lua|conf)$|^Dockerfile$/

export function readSourceTree(root: string): SourceTree {
  const paths = readdirSync(root, { withFileTypes: true }).flatMap(entry => {
    if (!entry.isDirectory()) return [entry.name]
    if (SKIPPED_FOLDERS.has(entry.name)) return []
    return readdirSync(join(root, entry.name), { recursive: true, withFileTypes: true })
      .filter(each => each.isFile())
      .map(each => relative(root, join(each.parentPath, each.name)).split(sep).join('/'))
  })
  return new Map(
    paths.toSorted().map(path => [path, TEXT_FILE.test(path) ? readFileSync(join(root, path), 'utf8') : '']),
  )
}

export function lineAt(text: string, offset: number): number {
  return text.slice(0, offset).split('\n').length
}

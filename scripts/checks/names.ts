import { basename, dirname } from 'node:path'

import { lineAt, type CheckResult, type Problem, type SourceTree } from './source-tree.ts'

/** Folders that hold the adapters of one port, beside its file: their files and symbols may share names. */
const ADAPTER_FOLDERS: readonly (readonly string[])[] = [
  ['file', 's3'],
  ['sqlite', 'postgres'],
  ['memory', 'valkey'],
]
/** Names that a file has for its role in its folder. */
const ROLE_NAMES = new Set(['index.ts', 'main.ts'])
const EXPORT =
  /^export (?:declare )?(?:abstract )?(?:async )?(?:class|function\*?|const|let|interface|type|enum) (\w+)/gm

/** Two files of `src` have two names, and so have two exported symbols, unless they are adapters of one port. */
export function checkNames(tree: SourceTree): CheckResult {
  const files = [...tree.keys()].filter(file => file.startsWith('src/') && file.endsWith('.ts'))
  const fileNames = new Map<string, Problem[]>()
  const symbols = new Map<string, Problem[]>()
  for (const file of files) {
    const name = basename(file)
    if (!ROLE_NAMES.has(name)) remember(fileNames, name, { file, line: 1, message: name })
    const text = tree.get(file) ?? ''
    for (const match of text.matchAll(EXPORT)) {
      const symbol = match[1] ?? ''
      if (symbols.get(symbol)?.some(each => each.file === file)) continue
      remember(symbols, symbol, { file, line: lineAt(text, match.index), message: symbol })
    }
  }
  return {
    looked: `${files.length} files, ${symbols.size} exported symbols in src`,
    problems: [...doubles(fileNames, 'file name'), ...doubles(symbols, 'exported symbol')],
  }
}

function remember(places: Map<string, Problem[]>, name: string, place: Problem): void {
  places.set(name, [...(places.get(name) ?? []), place])
}

function doubles(places: ReadonlyMap<string, readonly Problem[]>, what: string): Problem[] {
  return [...places.values()].flatMap(all =>
    all.flatMap((place, index) => {
      const other = all.slice(0, index).find(earlier => !areAdapters(earlier.file, place.file))
      if (!other) return []
      return [{ ...place, message: `the ${what} ${place.message} stands in ${other.file} too` }]
    }),
  )
}

function areAdapters(one: string, other: string): boolean {
  return isAdapterOf(one, other) || isAdapterOf(other, one) || areSiblings(one, other)
}

/** The port lies in the folder above. */
function isAdapterOf(adapter: string, port: string): boolean {
  const folder = dirname(adapter)
  return dirname(folder) === dirname(port) && ADAPTER_FOLDERS.some(folders => folders.includes(basename(folder)))
}

function areSiblings(one: string, other: string): boolean {
  const ones = dirname(one).split('/')
  const others = dirname(other).split('/')
  return ADAPTER_FOLDERS.some(folders =>
    ones.some(
      (folder, depth) =>
        folders.includes(folder) &&
        folders.includes(others[depth] ?? '') &&
        folder !== others[depth] &&
        ones.slice(0, depth).join('/') === others.slice(0, depth).join('/'),
    ),
  )
}

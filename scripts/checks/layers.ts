import { dirname, normalize } from 'node:path'

import { lineAt, type CheckResult, type Problem, type SourceTree } from './source-tree.ts'

/**
 * The layers of `src`, from the top down. A file may import from its own folder and from folders of lower rows; folders
 * of one row do not import each other. The longest matching path decides. `docs/architecture.md` draws this table.
 */
const LAYERS: readonly (readonly string[])[] = [
  ['src/cli/'],
  ['src/server/index.ts'],
  ['src/server/main.ts'],
  ['src/server/workers/'],
  ['src/server/compose/'],
  ['src/server/telemetry/', 'src/server/http/'],
  ['src/server/transfers/direct/', 'src/server/parcels/', 'src/server/upkeep/'],
  ['src/server/transfers/'],
  ['src/server/change-feed/', 'src/server/limits/'],
  ['src/server/cluster/'],
  ['src/server/access/'],
  ['src/server/records/'],
  ['src/server/blobs/'],
  ['src/server/buffers/', 'src/server/config/', 'src/server/clock.ts', 'src/server/version.ts'],
  ['src/video/'],
  ['src/client/'],
  ['src/sealing/', 'src/files/'],
  ['src/protocol/'],
  ['src/common/'],
]

/** Folders that others import by one file only. */
const FACES: readonly { readonly folder: string; readonly face: string }[] = [
  { folder: 'src/server/', face: 'src/server/index.ts' },
]

const IMPORT = /(?:\bfrom\s*|\bimport\s*\(\s*|\bimport\s+)'(\.{1,2}\/[^']+)'/g

interface Import {
  readonly from: string
  readonly to: string
  readonly line: number
}

/** Imports of `src`, types and dynamic imports included, only go down the layers, pass faces, and form no circle. */
export function checkLayers(tree: SourceTree): CheckResult {
  const files = [...tree.keys()].filter(file => file.startsWith('src/') && file.endsWith('.ts'))
  const imports = files.flatMap(file => importsOf(file, tree.get(file) ?? ''))
  return {
    looked: `${files.length} files, ${imports.length} imports in src`,
    problems: [...imports.flatMap(directionProblem), ...imports.flatMap(faceProblem), ...circles(files, imports)],
  }
}

function importsOf(from: string, text: string): Import[] {
  return [...text.matchAll(IMPORT)].map(match => ({
    from,
    to: normalize(`${dirname(from)}/${match[1] ?? ''}`),
    line: lineAt(text, match.index),
  }))
}

function directionProblem({ from, to, line }: Import): Problem[] {
  const [upper, lower] = [layerOf(from), layerOf(to)]
  if (!upper || !lower) return [{ file: from, line, message: `${upper ? to : from} is in no row of the layers` }]
  if (upper.folder === lower.folder || upper.row < lower.row) return []
  return [{ file: from, line, message: `${upper.folder} may not import ${lower.folder}: it is not in a lower layer` }]
}

function layerOf(file: string): { readonly folder: string; readonly row: number } | null {
  const rows = LAYERS.flatMap((folders, row) => folders.map(folder => ({ folder, row })))
  const fitting = rows.filter(({ folder }) => file.startsWith(folder))
  return fitting.toSorted((one, other) => other.folder.length - one.folder.length)[0] ?? null
}

function faceProblem({ from, to, line }: Import): Problem[] {
  const passed = FACES.find(({ folder, face }) => to.startsWith(folder) && !from.startsWith(folder) && to !== face)
  return passed ? [{ file: from, line, message: `import ${passed.folder} by ${passed.face}` }] : []
}

/** Each group of files that import each other in a circle, once. */
function circles(files: readonly string[], imports: readonly Import[]): Problem[] {
  const next = new Map<string, Import[]>(files.map(file => [file, []]))
  for (const each of imports) next.get(each.from)?.push(each)
  const done = new Set<string>()
  const problems: Problem[] = []
  const visit = (file: string, path: readonly string[]) => {
    for (const { to, line } of next.get(file) ?? []) {
      const at = path.indexOf(to)
      if (at >= 0) problems.push({ file, line, message: `circle: ${[...path.slice(at), to].join(' -> ')}` })
      else if (!done.has(to)) visit(to, [...path, to])
    }
    done.add(file)
  }
  for (const file of files) if (!done.has(file)) visit(file, [file])
  return problems
}

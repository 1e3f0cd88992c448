import { posix } from 'node:path'

import type { CheckResult, Problem, SourceTree } from './source-tree.ts'

/** What applications import. Their symbols are documented where they are declared. */
const ENTRIES = ['src/client/index.ts', 'src/client/node/index.ts', 'src/sealing/index.ts', 'src/video/player/index.ts']
const DECLARATION = /^export (?:declare )?(?:abstract )?(?:async )?(?:class|function\*?|const|interface|type) (\w+)/

/** Follows `export … from` of each entry and asks for a doc comment above every exported declaration. */
export function checkPublicSymbols(tree: SourceTree): CheckResult {
  const problems = new Map<string, Problem>()
  const symbols = new Set<string>()
  for (const entry of ENTRIES) {
    const text = tree.get(entry) ?? ''
    for (const [, names = '', from = ''] of text.matchAll(/export (?:type )?(\*|\{[^}]*\}) from '(\.[^']+)'/g)) {
      const file = posix.join(posix.dirname(entry), from)
      for (const each of declarations(tree.get(file) ?? '', names === '*' ? null : exportedNames(names))) {
        symbols.add(`${file} ${each.name}`)
        const message = `${each.name} is public and has no doc comment`
        if (!each.isDocumented) problems.set(`${file} ${each.name}`, { file, line: each.line, message })
      }
    }
  }
  return { looked: `${symbols.size} public symbols`, problems: [...problems.values()] }
}

function exportedNames(list: string): string[] {
  return list
    .replace(/[{}]/g, '')
    .split(',')
    .map(each => each.replace('type ', '').trim().split(' as ')[0] ?? '')
}

interface Declaration {
  readonly name: string
  readonly line: number
  readonly isDocumented: boolean
}

function declarations(text: string, wanted: readonly string[] | null): Declaration[] {
  const lines = text.split('\n')
  return lines.flatMap((line, index) => {
    const name = DECLARATION.exec(line)?.[1]
    // A type inferred from a schema is described by the schema.
    if (name === undefined || line.includes('= z.infer<') || (wanted && !wanted.includes(name))) return []
    return [{ name, line: index + 1, isDocumented: (lines[index - 1] ?? '').trim().endsWith('*/') }]
  })
}

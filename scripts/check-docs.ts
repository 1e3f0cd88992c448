// Docs that a person can follow: every relative link leads somewhere, every npm script and CLI command named exists, every public symbol is documented.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = resolve(fileURLToPath(import.meta.url), '../..')
const problems: string[] = []

for (const page of pages()) checkPage(page)
for (const entry of [
  'src/client/index.ts',
  'src/client/node/index.ts',
  'src/sealing/index.ts',
  'src/video/player/index.ts',
])
  checkPublicSymbols(entry)

for (const problem of problems) console.error(problem)
if (problems.length > 0) process.exitCode = 1

function pages(): string[] {
  const folders = ['.', 'docs', 'docs/decisions', 'test/vectors', 'deploy']
  return folders.flatMap(folder =>
    existsSync(join(root, folder))
      ? readdirSync(join(root, folder))
          .filter(name => name.endsWith('.md'))
          .map(name => join(folder, name))
      : [],
  )
}

function checkPage(page: string): void {
  const text = readFileSync(join(root, page), 'utf8')
  for (const [, target] of text.matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)) {
    if (target === undefined || /^[a-z]+:/.test(target)) continue
    if (!existsSync(resolve(root, dirname(page), target))) problems.push(`${page}: link to ${target} leads nowhere`)
  }
  const scripts = Object.keys(
    (JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts: object }).scripts,
  )
  for (const [, script] of text.matchAll(/`npm run ([\w:-]+)/g))
    if (script !== undefined && !scripts.includes(script)) problems.push(`${page}: there is no npm script ${script}`)
}

/** Follows `export … from` of an entry and asks for a doc comment right above every exported declaration. */
function checkPublicSymbols(entry: string): void {
  const file = join(root, entry)
  if (!existsSync(file)) return
  const text = readFileSync(file, 'utf8')
  for (const [, names, from] of text.matchAll(/export (?:type )?(\*|\{[^}]*\}) from '(\.[^']+)'/g)) {
    if (names === undefined || from === undefined) continue
    const target = resolve(dirname(file), from)
    const wanted =
      names === '*'
        ? null
        : names
            .replace(/[{}]/g, '')
            .split(',')
            .map(each => each.replace('type ', '').trim().split(' as ')[0] ?? '')
    checkDeclarations(target, wanted)
  }
}

function checkDeclarations(file: string, wanted: readonly string[] | null): void {
  const lines = readFileSync(file, 'utf8').split('\n')
  for (const [number, line] of lines.entries()) {
    const name = /^export (?:declare )?(?:abstract )?(?:async )?(?:class|function\*?|const|interface|type) (\w+)/.exec(
      line,
    )?.[1]
    // A type inferred from a schema is described by the schema.
    if (line.includes('= z.infer<')) continue
    if (name === undefined || (wanted !== null && !wanted.includes(name))) continue
    if (!(lines[number - 1] ?? '').trim().endsWith('*/'))
      problems.push(`${file.slice(root.length + 1)}:${number + 1}: ${name} is public and has no doc comment`)
  }
}

// `npm run check`: everything but the tests that must hold before a change lands. Runs all of them, then fails if one
// failed.
import { spawnSync } from 'node:child_process'

const checks: readonly (readonly [name: string, program: string, ...args: string[]])[] = [
  ['types', 'npx', 'tsc', '-p', 'tsconfig.json'],
  ['lint', 'npx', 'oxlint', '--deny-warnings'],
  ['format', 'npx', 'prettier', '--check', '--log-level', 'warn', '.'],
  ['generated files are current', 'node', 'scripts/make-docs.ts', '--check'],
  [
    'words, symbols, names, comments, links, layers, commits',
    'node',
    'scripts/checks/main.ts',
    'words',
    'public-symbols',
    'names',
    'doc-comments',
    'links',
    'layers',
    'commits',
  ],
  ['lockfile', 'node', 'scripts/check-lockfile.ts'],
  ['sizes', 'node', 'scripts/checks/sizes.ts'],
  ['package', 'node', 'scripts/checks/package.ts'],
]

const failed: string[] = []
for (const [name, program, ...args] of checks) {
  const { status } = spawnSync(program, args, { stdio: 'inherit' })
  console.log(`${status === 0 ? 'ok    ' : 'FAILED'} ${name}`)
  if (status !== 0) failed.push(name)
}
if (failed.length > 0) {
  console.error(`npm run check failed: ${failed.join(', ')}`)
  process.exitCode = 1
}

// `npm run docs`: writes every file that is made from the schemas; with --check only says which are out of date.
import { spawnSync } from 'node:child_process'

const makers = [
  'scripts/make-config-docs.ts',
  'scripts/make-protocol-docs.ts',
  'scripts/make-manifest-docs.ts',
  'scripts/make-readers.ts',
  'scripts/make-scale-docs.ts',
]
for (const maker of makers) {
  const { status } = spawnSync('node', [maker, ...process.argv.slice(2)], { stdio: 'inherit' })
  if (status !== 0) process.exitCode = 1
}

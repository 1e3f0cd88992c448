// Compiles src/ into dist/. Runs on `npm ci` (the `prepare` script), so that `npm start` and `npx sealift` work at
// once. What is up to date is left alone: npm prepares the package again on the first `npx sealift`, beside a running
// server.
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmodSync, existsSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { bundleCommand } from './bundle-command.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const dist = join(root, 'dist')
const stamp = join(dist, '.sources')

const sources = hashOfSources()
if (!isUpToDate()) await build()
linkCommand()

function isUpToDate(): boolean {
  return existsSync(stamp) && readFileSync(stamp, 'utf8') === sources
}

async function build(): Promise<void> {
  rmSync(dist, { recursive: true, force: true })
  execFileSync('npx', ['tsc', '-p', 'tsconfig.build.json'], { cwd: root, stdio: 'inherit' })
  await bundleCommand(join(dist, 'cli'))
  chmodSync(join(dist, 'cli/main.js'), 0o755)
  writeFileSync(stamp, sources)
}

/** Of everything that dist/ is made from. */
function hashOfSources(): string {
  const hash = createHash('sha256')
  const names = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' }).filter(name =>
    name.endsWith('.ts'),
  )
  for (const name of names.sort()) hash.update(`${name}\0`).update(readFileSync(join(root, 'src', name)))
  for (const name of ['tsconfig.json', 'tsconfig.build.json', 'package.json', 'scripts/bundle-command.ts'])
    hash.update(readFileSync(join(root, name)))
  return hash.digest('hex')
}

/** `node_modules/.bin/sealift`, so that npm scripts find the command. */
function linkCommand(): void {
  const link = join(root, 'node_modules/.bin/sealift')
  rmSync(link, { force: true })
  symlinkSync('../../dist/cli/main.js', link)
}

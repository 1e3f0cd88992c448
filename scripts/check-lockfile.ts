// The lockfile must install on a bare machine: from any registry, with every platform's binaries, and without a
// compiler.
import { existsSync, readFileSync } from 'node:fs'

interface Locked {
  readonly version?: string
  readonly resolved?: string
  readonly gypfile?: boolean
  readonly optionalDependencies?: Readonly<Record<string, string>>
}

const { packages } = JSON.parse(readFileSync('package-lock.json', 'utf8')) as { packages: Record<string, Locked> }
const problems: string[] = []

for (const [path, locked] of Object.entries(packages)) {
  if (locked.resolved?.startsWith('http')) problems.push(`${path}: names the address of a registry`)
  for (const name of Object.keys(locked.optionalDependencies ?? {})) {
    const found = packages[`${path}/node_modules/${name}`] ?? packages[`node_modules/${name}`]
    if (!found?.version) problems.push(`${path}: its optional ${name} is missing, so npm ci refuses the lockfile`)
  }
  // npm before 11 compiles whatever has a binding.gyp unless the lockfile itself says that it need not.
  if (shipsBinaries(path) && locked.gypfile !== false) problems.push(`${path}: add "gypfile": false to its entry`)
}

for (const problem of problems) console.error(`package-lock.json: ${problem}`)
if (problems.length > 0) process.exitCode = 1

function shipsBinaries(path: string): boolean {
  const file = `${path}/package.json`
  if (path === '' || !existsSync(file) || !existsSync(`${path}/binding.gyp`)) return false
  return (JSON.parse(readFileSync(file, 'utf8')) as { gypfile?: boolean }).gypfile === false
}

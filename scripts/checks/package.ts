// The packed package as users install it: its metadata, its types, and a project that compiles with them.
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = resolve(fileURLToPath(import.meta.url), '../../..')
const bin = join(root, 'node_modules/.bin')

interface Project {
  readonly name: string
  readonly entries: readonly string[]
  readonly types: readonly string[]
  readonly skipLibCheck: boolean
}

/** Together all entries of the package. */
const PROJECTS: readonly Project[] = [
  {
    name: 'browser',
    entries: ['sealift', 'sealift/sealing', 'sealift/player', 'sealift/protocol'],
    types: [],
    skipLibCheck: false,
  },
  // The types of mediabunny bring their own of WebCodecs, which the library of TypeScript declares too.
  { name: 'video', entries: ['sealift/video'], types: [], skipLibCheck: true },
  { name: 'node', entries: ['sealift/node', 'sealift/video/node'], types: ['node'], skipLibCheck: false },
]

const folder = mkdtempSync(join(tmpdir(), 'sealift-package-'))
try {
  const tarball = pack()
  run('publint', ['run', tarball, '--strict'])
  run('attw', [tarball, '--profile', 'esm-only', '--no-definitely-typed', '--no-color', '--format', 'ascii'])
  install(tarball)
  checkEntries()
  for (const project of PROJECTS) compile(project)
} finally {
  rmSync(folder, { recursive: true, force: true })
}

/** @returns the path of the package */
function pack(): string {
  execFileSync('node', [join(root, 'scripts/build.ts')], { cwd: root, stdio: 'inherit' })
  const options = ['pack', '--ignore-scripts', '--json', '--pack-destination', folder]
  const [packed] = JSON.parse(execFileSync('npm', options, { cwd: root, encoding: 'utf8', stdio: 'pipe' })) as [
    { readonly filename: string },
  ]
  return join(folder, packed.filename)
}

/** Into a project beside which there is nothing but what the package depends on, and the types of Node. */
function install(tarball: string): void {
  const modules = join(folder, 'node_modules')
  mkdirSync(join(modules, 'sealift'), { recursive: true })
  execFileSync('tar', ['-xzf', tarball, '-C', join(modules, 'sealift'), '--strip-components=1'])
  for (const name of [...Object.keys(manifest().dependencies), '@types/node']) {
    mkdirSync(dirname(join(modules, name)), { recursive: true })
    symlinkSync(join(root, 'node_modules', name), join(modules, name))
  }
}

function manifest(): { readonly dependencies: object; readonly exports: object } {
  return JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as ReturnType<typeof manifest>
}

function checkEntries(): void {
  const compiled = PROJECTS.flatMap(({ entries }) => entries)
  for (const entry of Object.keys(manifest().exports)) {
    const name = entry.replace('.', 'sealift')
    if (!compiled.includes(name)) fail(`${name} is an entry that no project of scripts/checks/package.ts imports`)
  }
}

function compile({ name, entries, types, skipLibCheck }: Project): void {
  const lines = entries.map((entry, index) => `export * as entry${index} from '${entry}'`)
  writeFileSync(join(folder, `${name}.mts`), `${lines.join('\n')}\n`)
  const config = {
    compilerOptions: {
      target: 'ES2022',
      lib: ['ES2022', 'DOM'],
      types,
      module: 'NodeNext',
      strict: true,
      skipLibCheck,
      noEmit: true,
    },
    files: [`${name}.mts`],
  }
  writeFileSync(join(folder, `${name}.json`), JSON.stringify(config))
  run('tsc', ['-p', join(folder, `${name}.json`)])
}

function run(program: string, args: readonly string[]): void {
  const { status, stdout, stderr } = spawnSync(join(bin, program), args, { cwd: folder, encoding: 'utf8' })
  if (status !== 0) fail(`${stdout}${stderr}${program} fails`)
}

function fail(message: string): void {
  console.error(message)
  process.exitCode = 1
}

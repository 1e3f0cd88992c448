// What a page loads of each entry, against a budget: minified and compressed by brotli. With --table for docs/sdk.md.
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { brotliCompressSync } from 'node:zlib'

import * as esbuild from 'esbuild'

const root = resolve(fileURLToPath(import.meta.url), '../../..')

/** In units of 1000 bytes. */
interface Budget {
  /** With the entry: itself and all that it imports. */
  readonly first: number
  /** Only when something needs it: all of `import()`. */
  readonly later: number
}

const BUDGETS: Readonly<Record<string, Budget>> = {
  '.': { first: 35, later: 27 },
  './sealing': { first: 8, later: 0 },
  './video': { first: 102, later: 0 },
  './player': { first: 9, later: 155 },
  './protocol': { first: 34, later: 0 },
}
const NOT_FOR_BROWSERS = ['./node', './video/node']

const withoutDynamicImports: esbuild.Plugin = {
  name: 'without-dynamic-imports',
  setup(build) {
    build.onResolve({ filter: /./ }, ({ path, kind }) =>
      kind === 'dynamic-import' ? { path, external: true } : undefined,
    )
  },
}

const table: string[] = ['| entry | at first (KB) | when needed (KB) |', '|---|---|---|']
for (const [entry, { default: file }] of Object.entries(entries())) {
  if (NOT_FOR_BROWSERS.includes(entry)) continue
  const budget = BUDGETS[entry]
  if (!budget) {
    fail(`${entry} has no budget in scripts/checks/sizes.ts`)
    continue
  }
  const size = await sizeOf(file.replace('./dist/', 'src/').replace(/\.js$/, '.ts'))
  for (const part of ['first', 'later'] as const)
    if (size[part] > budget[part])
      fail(`${entry} loads ${size[part]} KB ${part}, more than its budget of ${budget[part]}`)
  table.push(`| \`${entry.replace('.', 'sealift')}\` | ${size.first} | ${size.later || ''} |`)
}
console.log(table.join('\n'))

function entries(): Readonly<Record<string, { readonly default: string }>> {
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    exports: ReturnType<typeof entries>
  }
  return manifest.exports
}

async function sizeOf(entryPoint: string): Promise<Budget> {
  const first = await bundledSize(entryPoint, [withoutDynamicImports])
  return { first: inKilobytes(first), later: inKilobytes((await bundledSize(entryPoint, [])) - first) }
}

/** Of one file: how it is cut into several is a matter of the bundler. */
async function bundledSize(entryPoint: string, plugins: esbuild.Plugin[]): Promise<number> {
  const { outputFiles } = await esbuild.build({
    absWorkingDir: root,
    entryPoints: [entryPoint],
    bundle: true,
    minify: true,
    write: false,
    platform: 'browser',
    format: 'esm',
    target: 'es2022',
    logLevel: 'error',
    plugins,
  })
  return brotliCompressSync(outputFiles[0]?.contents ?? '').byteLength
}

function inKilobytes(bytes: number): number {
  return Math.ceil(bytes / 100) / 10
}

function fail(message: string): void {
  console.error(message)
  process.exitCode = 1
}

/**
 * Bundles the `sealift` command into a few files. Loaded one by one, its modules and those of its libraries take longer
 * to find than to run. What only the server needs stays outside, in node_modules.
 */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { build, type Metafile } from 'esbuild'

const root = fileURLToPath(new URL('..', import.meta.url))

/** Libraries of the client commands. All others are loaded from node_modules when a command needs them. */
const BUNDLED = new Set([
  '@noble/hashes',
  'commander',
  'file-type',
  'mediabunny',
  'mime-types',
  'p-limit',
  'thumbhash',
  'undici',
  'zod',
])

/** Each is a file of its own, since Node starts it by its path: the command, and its threads beside it. */
export const ENTRIES = [
  'cli/main.ts',
  'client/node/hash-worker.ts',
  'server/http/manifest/manifest-worker.ts',
  'server/records/sqlite/worker.ts',
  'video/remux-thread/remux-worker.ts',
]

/**
 * Writes the command into `folder`, which it empties first. As in `src/cli`, package.json is two folders up.
 */
export async function bundleCommand(folder: string): Promise<void> {
  const { dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    readonly dependencies: Readonly<Record<string, string>>
  }
  rmSync(folder, { recursive: true, force: true })
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: ENTRIES.map(entry => join('src', entry)),
    entryNames: '[name]',
    outdir: folder,
    bundle: true,
    splitting: true,
    metafile: true,
    platform: 'node',
    format: 'esm',
    target: 'node24',
    external: Object.keys(dependencies).filter(name => !BUNDLED.has(name)),
    // CommonJS libraries call `require` for the modules of Node.
    banner: {
      js: "import { createRequire as requireOf } from 'node:module'; const require = requireOf(import.meta.url);",
    },
    logLevel: 'warning',
  })
  writeFileSync(join(folder, 'LICENSES.txt'), licences(metafile))
}

/** The licences of what was bundled ask to go with it. */
function licences({ inputs }: Metafile): string {
  const packages = new Set(
    Object.keys(inputs).flatMap(path => /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1] ?? []),
  )
  return [...packages]
    .sort()
    .map(licenceOf)
    .join(`\n${'-'.repeat(80)}\n\n`)
}

function licenceOf(folder: string): string {
  const path = join(root, folder)
  const { name, version, license, homepage } = JSON.parse(readFileSync(join(path, 'package.json'), 'utf8')) as {
    readonly [key in 'name' | 'version' | 'license' | 'homepage']?: string
  }
  const file = ['LICENSE', 'LICENSE.md', 'LICENSE.txt', 'license'].map(each => join(path, each)).find(existsSync)
  const text = file === undefined ? '' : `\n${readFileSync(file, 'utf8').trim()}\n`
  return `${name} ${version}, ${license}, source: ${homepage ?? `https://www.npmjs.com/package/${name}`}\n${text}`
}

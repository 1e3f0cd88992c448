import { copyFile, mkdir, readFile, symlink } from 'node:fs/promises'
import { join } from 'node:path'

import { bundleCommand } from '../scripts/bundle-command.ts'
import { run } from './processes.ts'

const ROOT = join(import.meta.dirname, '..')

/** The compiled product, as it is published, made from the sources as they are now. */
export interface Build {
  /** How Node starts the `sealift` command: the flags of its first line, then the file. */
  readonly cli: readonly string[]
  /** The SDK for Node. */
  readonly sdk: string
  /** The folder of all compiled modules. */
  readonly dist: string
}

/** Compiles the sources into `folder`, away from `dist`, so that no old build is ever measured. */
export async function buildInto(folder: string): Promise<Build> {
  const dist = join(folder, 'dist')
  await mkdir(dist)
  await symlink(join(ROOT, 'node_modules'), join(folder, 'node_modules'))
  await copyFile(join(ROOT, 'package.json'), join(folder, 'package.json'))
  const tsc = join(ROOT, 'node_modules/.bin/tsc')
  await run({
    command: tsc,
    args: ['-p', join(ROOT, 'tsconfig.build.json'), '--outDir', dist, '--declaration', 'false'],
  })
  await bundleCommand(join(dist, 'cli'))
  const cli = join(dist, 'cli/main.js')
  return { cli: [...(await flagsOf(cli)), cli], sdk: join(dist, 'client/node/index.js'), dist }
}

/** `#!/usr/bin/env -S node --flag` → `--flag` */
async function flagsOf(script: string): Promise<string[]> {
  const [first = ''] = (await readFile(script, 'utf8')).split('\n', 1)
  return first.split(' ').filter(word => word.startsWith('--'))
}

/** The machine and the versions a run was made with; nothing that names the machine or its folders. */
import { readFile } from 'node:fs/promises'
import { cpus, release, totalmem } from 'node:os'

import { toolVersion } from './tools.ts'
import type { Workspace } from './workspace.ts'

export interface Facts {
  readonly cores: number
  readonly processor: string
  readonly memoryGiB: number
  readonly kernel: string
  readonly fileSystem: string
  readonly versions: Readonly<Record<string, string>>
}

export async function gatherFacts(workspace: Workspace): Promise<Facts> {
  const versions: Record<string, string | null> = {
    node: process.version.slice(1),
    sealift: await packageVersion('../package.json'),
    express: await packageVersion('../node_modules/express/package.json'),
    '@tus/server': await packageVersion('../node_modules/@tus/server/package.json'),
    '@tus/file-store': await packageVersion('../node_modules/@tus/file-store/package.json'),
    nginx: await toolVersion('nginx', '-v'),
    age: await toolVersion('age', '--version'),
    curl: await toolVersion('curl', '--version'),
    wrk: await toolVersion('wrk', '-v'),
  }
  return {
    cores: cpus().length,
    processor: cpus()[0]?.model.trim() ?? 'unknown',
    memoryGiB: Math.round(totalmem() / 1024 ** 3),
    kernel: release().split('-')[0] ?? 'unknown',
    fileSystem: await fileSystemOf(workspace.root),
    versions: Object.fromEntries(
      Object.entries(versions).flatMap(([name, version]) => (version ? [[name, version]] : [])),
    ),
  }
}

async function packageVersion(path: string): Promise<string | null> {
  try {
    const manifest = JSON.parse(await readFile(new URL(path, import.meta.url), 'utf8')) as { version: string }
    return manifest.version
  } catch {
    return null
  }
}

/** The type of the file system that holds a folder: that of the longest mount point it lies under. */
async function fileSystemOf(folder: string): Promise<string> {
  const lines = (await readFile('/proc/mounts', 'utf8').catch(() => '')).split('\n')
  const mounts = lines
    .map(line => line.split(' '))
    .filter(([, point = '']) => point === '/' || `${folder}/`.startsWith(`${point}/`))
  mounts.sort(([, a = ''], [, b = '']) => b.length - a.length)
  return mounts[0]?.[2] ?? 'unknown'
}

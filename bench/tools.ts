import { constants } from 'node:fs'
import { access } from 'node:fs/promises'
import { delimiter, join } from 'node:path'

import { run } from './processes.ts'

/** Where an installed tool is; `null` when it is not on the PATH. */
export async function findTool(name: string): Promise<string | null> {
  // Debian keeps servers in sbin, which is often not on a user's PATH.
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin']
  for (const folder of folders.filter(Boolean)) {
    const path = join(folder, name)
    if (await executable(path)) return path
  }
  return null
}

async function executable(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** `null` when every tool is installed, else one line that names those that are not. */
export async function missingTools(...names: readonly string[]): Promise<string | null> {
  const found = await Promise.all(names.map(findTool))
  const absent = names.filter((_, index) => found[index] === null)
  return absent.length === 0 ? null : `${absent.join(', ')} not installed`
}

/** The first version number in what a tool says about itself; `null` when it is not installed. */
export async function toolVersion(name: string, ...args: readonly string[]): Promise<string | null> {
  const path = await findTool(name)
  if (path === null) return null
  const said = await run({ command: 'sh', args: ['-c', '"$0" "$@" 2>&1 || true', path, ...args] }).catch(() => '')
  return /\d+\.\d+[\w.-]*/.exec(said)?.[0] ?? 'unknown'
}

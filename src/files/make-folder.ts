/**
 * The only place that makes folders. Node's recursive `mkdir` never returns, and keeps a core busy, where a file system
 * returns ENOENT for a name in an existing folder, as `/proc` does. A test looks for it in all of `src`.
 */
import { mkdir, stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'

import { SystemFailure, systemCode } from './system-failure.ts'

/**
 * Makes a folder and those above it, one by one; one that is there is left as it is.
 * @param mode of what is made. Default: the user's
 * @throws the file system's error for the folder that cannot be made; it has a `code` and a `path`
 */
export async function makeFolder(path: string, mode = 0o777): Promise<void> {
  const folder = resolve(path)
  if (await isFolder(folder)) return
  if (dirname(folder) !== folder) await makeFolder(dirname(folder), mode)
  try {
    await mkdir(folder, { mode })
  } catch (error) {
    // Another process may have made it in the meantime.
    if (systemCode(error) === 'EEXIST' && (await isFolder(folder))) return
    // The folder above is there: such a file system takes no folders.
    if (systemCode(error) === 'ENOENT' && (await isFolder(dirname(folder)))) throw new SystemFailure('ENOTSUP', folder)
    throw error
  }
}

/** False when there is nothing. @throws what hinders a look, or ENOTDIR */
async function isFolder(path: string): Promise<boolean> {
  try {
    if ((await stat(path)).isDirectory()) return true
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return false
    throw error
  }
  throw new SystemFailure('ENOTDIR', path)
}

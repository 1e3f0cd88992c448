import { mkdirSync } from 'node:fs'
import * as module from 'node:module'
import { homedir } from 'node:os'
import { join } from 'node:path'

/**
 * Lets Node keep the compiled code of the command between runs. Only in a folder of this user: a cache that others can
 * write to, such as Node's default below the folder for temporary files, would be code of others.
 */
export function keepCompiledCode(env: Readonly<Record<string, string | undefined>>): void {
  // NODE_COMPILE_CACHE names another folder.
  if (module.getCompileCacheDir() !== undefined) return
  const folder = cacheFolder(env)
  if (folder !== null) module.enableCompileCache(folder)
}

/** `null` when there is none: then the command starts a little later. */
function cacheFolder(env: Readonly<Record<string, string | undefined>>): string | null {
  const named = env['XDG_CACHE_HOME'] ?? ''
  // A relative folder would be another one in each working folder: the specification has it ignored.
  const base = named.startsWith('/') ? named : join(homedir(), '.cache')
  try {
    // One by one: a recursive mkdir of Node never ends on file systems that report ENOENT for a new folder.
    for (const folder of [base, join(base, 'sealift'), join(base, 'sealift', 'compiled')]) make(folder)
    return join(base, 'sealift', 'compiled')
  } catch {
    return null
  }
}

function make(folder: string): void {
  try {
    mkdirSync(folder, { mode: 0o700 })
  } catch (error) {
    if (!(error instanceof Error) || !('code' in error) || error.code !== 'EEXIST') throw error
  }
}

import { lstat, mkdir, realpath, stat } from 'node:fs/promises'
import { join, sep } from 'node:path'

import { makeFolder } from '../../../files/make-folder.ts'
import { SealiftError } from '../../../protocol/errors.ts'
import { localError, unless } from '../files/local-error.ts'
import { numbered } from './safe-names.ts'

/**
 * Makes the folders of received items. Never leaves the folder it was given: where a symbolic link leads out of it, or
 * a file stands in the way, a folder with a number in its name is made instead. The same where the state directory is
 * inside: no item may become a journal.
 */
export class ReceiveFolders {
  readonly root: string
  readonly #stateDirectory: string | false
  readonly #made = new Map<string, Promise<string>>()

  private constructor(root: string, stateDirectory: string | false) {
    this.root = root
    this.#stateDirectory = stateDirectory
  }

  /** @throws local_file */
  static async open(directory: string, stateDirectory: string | false): Promise<ReceiveFolders> {
    try {
      await makeFolder(directory)
      const folders = new ReceiveFolders(await realpath(directory), stateDirectory)
      if (!(await folders.#isState(folders.root))) return folders
    } catch (error) {
      throw localError('The folder cannot be used', directory, error)
    }
    const message = 'The folder is the state directory, where nothing is received into'
    throw new SealiftError('local_file', message, { context: { path: directory } })
  }

  /** Every folder that was asked for, as it is on disk. */
  async all(): Promise<string[]> {
    return [this.root, ...(await Promise.all(this.#made.values()))]
  }

  /** The folder on disk for these segments; the same one for the same segments. @throws local_file */
  folder(segments: readonly string[]): Promise<string> {
    const name = segments.at(-1)
    if (name === undefined) return Promise.resolve(this.root)
    const key = segments.join('/')
    const made = this.#made.get(key) ?? this.folder(segments.slice(0, -1)).then(parent => this.#make(parent, name))
    this.#made.set(key, made)
    return made
  }

  async #make(parent: string, name: string): Promise<string> {
    for (let count = 1; ; count += 1) {
      const path = join(parent, numbered(name, count))
      try {
        await unless(mkdir(path), 'EEXIST')
        if (await this.#isFolderInside(path)) return path
      } catch (error) {
        throw localError('A folder cannot be made', path, error)
      }
    }
  }

  async #isFolderInside(path: string): Promise<boolean> {
    const found = await lstat(path)
    if (!found.isSymbolicLink()) return found.isDirectory() && !(await this.#isState(path))
    const target = await unless(realpath(path), 'ENOENT', 'ELOOP')
    if (target === null || !isBelow(this.root, target) || (await this.#isState(target))) return false
    return (await stat(target)).isDirectory()
  }

  /** @param path as it is on disk */
  async #isState(path: string): Promise<boolean> {
    const state = this.#stateDirectory && (await realpath(this.#stateDirectory).catch(() => null))
    return state !== false && state !== null && (path === state || isBelow(state, path))
  }
}

function isBelow(folder: string, path: string): boolean {
  return path.startsWith(folder.endsWith(sep) ? folder : `${folder}${sep}`)
}

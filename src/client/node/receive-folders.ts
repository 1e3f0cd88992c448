import { lstat, mkdir, realpath, stat } from 'node:fs/promises'
import { join, sep } from 'node:path'

import { makeFolder } from '../../files/make-folder.ts'
import { localError, unless } from './local-error.ts'
import { numbered } from './safe-names.ts'

/**
 * Makes the folders of received items. Never leaves the folder it was given: where a symbolic link leads out of it, or
 * a file stands in the way, a folder with a number in its name is made instead.
 */
export class ReceiveFolders {
  readonly root: string
  readonly #made = new Map<string, Promise<string>>()

  private constructor(root: string) {
    this.root = root
  }

  /** @throws local_file */
  static async open(directory: string): Promise<ReceiveFolders> {
    try {
      await makeFolder(directory)
      return new ReceiveFolders(await realpath(directory))
    } catch (error) {
      throw localError('The folder cannot be used', directory, error)
    }
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
    if (!found.isSymbolicLink()) return found.isDirectory()
    const target = await unless(realpath(path), 'ENOENT', 'ELOOP')
    if (target === null || !target.startsWith(`${this.root}${sep}`)) return false
    return (await stat(target)).isDirectory()
  }
}

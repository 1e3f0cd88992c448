import { dirname } from 'node:path'

import type { FileSystem } from './file-system.ts'

/** Makes each folder once and durable: a name is safe only when the folder that holds it is synced. */
export class Folders {
  readonly #files: FileSystem
  readonly #made = new Map<string, Promise<void>>()

  constructor(files: FileSystem) {
    this.#files = files
  }

  ensure(path: string): Promise<void> {
    const known = this.#made.get(path)
    if (known) return known
    const made = this.#make(path)
    this.#made.set(path, made)
    return made
  }

  /** After something in it turned out to be missing: it may have been removed behind our back. */
  forget(path: string): void {
    this.#made.delete(path)
  }

  /**
   * Makes the names of all folders above durable, up to the root: any of them may have been made a moment ago. Those
   * that this process may not open are not of its making.
   */
  async syncAncestors(path: string): Promise<void> {
    for (let folder = dirname(path); ; folder = dirname(folder)) {
      await this.#files.syncFolder(folder).catch(() => undefined)
      if (folder === dirname(folder)) return
    }
  }

  async #make(path: string): Promise<void> {
    try {
      await this.#files.makeFolder(path)
    } catch (error) {
      this.forget(path)
      throw error
    }
    // When this fails it stays failed: a second sync would claim what the first one has lost.
    await this.#files.syncFolder(dirname(path))
  }
}

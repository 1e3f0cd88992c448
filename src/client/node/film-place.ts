import { rm } from 'node:fs/promises'

import type { KeepPlace, KeptBytes } from '../kept-bytes.ts'
import { filmPath, isPartial, PartialFile } from './partial-file.ts'
import type { ReceiveJournal } from './receive-journal.ts'

/** Only for its owner: it never becomes the file that was asked for. */
const OWNER_ONLY = 0o600

export interface FilmPlaceOptions {
  readonly journal: ReceiveJournal
  /** Where the file will be, and its name. */
  readonly folder: string
  readonly file: string
}

/** Keeps the film of one item in a hidden file beside the one that will be put together from it. */
export class FilmPlace implements KeepPlace {
  readonly #options: FilmPlaceOptions
  /** By the name of the journal's entries. */
  readonly #used = new Map<string, PartialFile>()

  constructor(options: FilmPlaceOptions) {
    this.#options = options
  }

  async find(name: string): Promise<KeptBytes | null> {
    const isThere = this.#options.journal.recall(entryOf(name)).finished.length > 0
    return isThere && (await isPartial(this.#path(name))) ? this.#open(name, true) : null
  }

  create(name: string): Promise<KeptBytes> {
    return this.#open(name, false)
  }

  /** Closes all of it, to be gone on with. */
  async close(): Promise<void> {
    for (const file of this.#used.values()) await file.close()
  }

  /** Deletes all of it. */
  async remove(): Promise<void> {
    for (const [entry, file] of this.#used) await this.#discard(entry, file)
  }

  async #open(name: string, keep: boolean): Promise<KeptBytes> {
    const { journal } = this.#options
    const entry = entryOf(name)
    const before = journal.recall(entry)
    const path = this.#path(name)
    await journal.opened(entry, path)
    const file = await PartialFile.open(path, keep, OWNER_ONLY)
    this.#used.set(entry, file)
    return {
      store: file,
      resume: {
        finished: keep ? before.finished : [],
        onFinished: range => journal.finished(entry, range),
        onGrant: grant => journal.granted(entry, grant),
        ...(before.grant !== null && { grant: before.grant }),
      },
      discard: () => this.#discard(entry, file),
      [Symbol.asyncDispose]: () => file.close(),
    }
  }

  async #discard(entry: string, file: PartialFile): Promise<void> {
    await file.close()
    await rm(file.path, { force: true })
    this.#used.delete(entry)
    await this.#options.journal.dropped(entry)
  }

  #path(name: string): string {
    const { folder, file } = this.#options
    return filmPath(folder, file, name)
  }
}

function entryOf(name: string): string {
  return `film/${name}`
}

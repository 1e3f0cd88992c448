import { join } from 'node:path'

import type { KeepPlace, KeptBytes } from '../../api/source-and-sink.ts'
import { PartialFile, partialPath } from './partial-file.ts'
import type { ReceiveJournal } from './receive-journal.ts'

/** Only for its owner: it never becomes the file that was asked for. */
const OWNER_ONLY = 0o600

export interface PartialFilmOptions {
  readonly journal: ReceiveJournal
  /** The folder that is received into. */
  readonly root: string
  /** Where the file will be. */
  readonly folder: string
}

/** Keeps the film of one item in a hidden file beside the one that will be put together from it. */
export class PartialFilm implements KeepPlace {
  readonly #options: PartialFilmOptions
  /** By the name of the journal's entries. */
  readonly #used = new Map<string, PartialFile>()

  constructor(options: PartialFilmOptions) {
    this.#options = options
  }

  async find(name: string): Promise<KeptBytes | null> {
    const { journal, root } = this.#options
    const { finished, partial } = journal.recall(entryOf(name))
    if (finished.length === 0 || !partial?.identity) return null
    const file = await PartialFile.reopen(join(root, partial.path), partial.identity)
    return file && this.#use(name, { file, finished })
  }

  async create(name: string): Promise<KeptBytes> {
    const path = partialPath(this.#options.folder, 'film')
    await this.#options.journal.opening(entryOf(name), path)
    return this.#use(name, { file: await PartialFile.create(path, OWNER_ONLY), finished: [] })
  }

  /** Closes all of it, to be gone on with. */
  async close(): Promise<void> {
    for (const file of this.#used.values()) await file.close()
  }

  /** Deletes all of it. */
  async remove(): Promise<void> {
    for (const [entry, file] of this.#used) await this.#discard(entry, file)
  }

  #use(name: string, { file, finished }: { file: PartialFile; finished: KeptBytes['resume']['finished'] }): KeptBytes {
    const { journal } = this.#options
    const entry = entryOf(name)
    const { grant } = journal.recall(entry)
    this.#used.set(entry, file)
    return {
      store: file,
      resume: {
        finished,
        onFinished: range => journal.finished(entry, range, file),
        onGrant: given => journal.granted(entry, given),
        ...(grant !== null && { grant }),
      },
      discard: () => this.#discard(entry, file),
      [Symbol.asyncDispose]: () => file.close(),
    }
  }

  async #discard(entry: string, file: PartialFile): Promise<void> {
    await file.remove()
    this.#used.delete(entry)
    this.#options.journal.settled(file.path)
    await this.#options.journal.dropped(entry)
  }
}

function entryOf(name: string): string {
  return `film/${name}`
}

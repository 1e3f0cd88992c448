/**
 * The journal of one `receive`, in the user's state directory: which ranges of which partial file are there, and which
 * items are done. Deleted when all are. The folder that is received into holds nothing that is read as state: any link
 * may put a file of any name there.
 *
 * Bytes are written before their range is noted, and neither is synced: a process that is killed loses nothing, for
 * both are with the operating system. After the machine went down, nothing says which of them reached the disk. So
 * ranges count only within the same run of the system; after another boot an item begins anew. One that had its name
 * already, and was not synced before it got it, is compared with what it should be.
 */
import { createHash } from 'node:crypto'
import { readdir, realpath, rm, stat } from 'node:fs/promises'
import { join, relative, resolve, sep } from 'node:path'

import { SealiftError } from '../../../protocol/errors.ts'
import type { PlainRange } from '../../api/source-and-sink.ts'
import { parseLink } from '../../link.ts'
import { LineJournal, isRunning, ownIdentity } from '../state/line-journal.ts'
import type { ProcessIdentity } from '../state/line-journal.ts'
import { stateFolder } from '../state/state-directory.ts'
import { isPartialPath } from './partial-file.ts'
import type { PartialFile, PartialIdentity } from './partial-file.ts'
import { readReceive, replay, UNKNOWN_ITEM } from './receive-journal-entries.ts'
import type { RecalledReceive, ReceivedState } from './receive-journal-entries.ts'

/** Where the journals of receives are, in the state directory. */
export const RECEIVES = 'receives'

type Lines = Pick<LineJournal, 'append' | 'remove'> & AsyncDisposable

export class ReceiveJournal implements AsyncDisposable {
  readonly #lines: Lines
  readonly #directory: string
  readonly #items: ReadonlyMap<string, ReceivedState>
  /** Hidden files that are of no use once everything is there, relative to the folder. */
  readonly #partials: Set<string>
  /** Whose partial file is known by its inode, too. */
  readonly #identified = new Set<string>()

  private constructor(lines: Lines, directory: string, recalled: Pick<RecalledReceive, 'partials'> & Recall) {
    this.#lines = lines
    this.#directory = directory
    this.#items = recalled.items
    this.#partials = recalled.partials
    for (const [item, { partial }] of recalled.items) if (partial?.identity) this.#identified.add(item)
  }

  /**
   * @param directory as it is on disk
   * @throws local_file, also when another process is receiving the same into the same folder
   */
  static async open(stateDirectory: string, directory: string, link: string): Promise<ReceiveJournal> {
    const path = await journalPath(stateDirectory, directory, link)
    const own = await ownIdentity()
    const recalled = await readReceive(path)
    if (recalled.holder && (await isRunning(recalled.holder))) {
      throw new SealiftError('local_file', 'This is being received into the same folder already', {
        context: { path: directory },
      })
    }
    const lines = await LineJournal.open(path)
    if (recalled.directory === null) await lines.append({ receive: 1, directory })
    await lines.append({ process: own })
    return new ReceiveJournal(lines, directory, { ...recalled, items: itemsOf(recalled, own) })
  }

  /** Nothing is kept: after an interruption there is nothing to go on with. */
  static inMemory(directory: string): ReceiveJournal {
    const done = (): Promise<void> => Promise.resolve()
    const lines = { append: done, remove: done, [Symbol.asyncDispose]: done }
    return new ReceiveJournal(lines, directory, { items: new Map(), partials: new Set() })
  }

  recall(item: string): ReceivedState {
    return this.#items.get(item) ?? UNKNOWN_ITEM
  }

  /** Before a partial file is made: what is not noted here is never found again. */
  async opening(item: string, path: string): Promise<void> {
    const partial = relative(this.#directory, path)
    this.#partials.add(partial)
    this.#identified.delete(item)
    await this.#lines.append({ item, partial })
  }

  /** After bytes were written to a partial file. */
  async finished(item: string, range: PlainRange, file: Pick<PartialFile, 'path' | 'identity'>): Promise<void> {
    if (!this.#identified.has(item)) {
      this.#identified.add(item)
      await this.#lines.append({ item, partial: relative(this.#directory, file.path), ...file.identity })
    }
    await this.#lines.append({ item, range: [range.start, range.end] })
  }

  async granted(item: string, grant: string): Promise<void> {
    await this.#lines.append({ item, grant })
  }

  /** Before an item is given its name. */
  async naming(
    item: string,
    named: PartialIdentity & { readonly path: string; readonly sync: boolean },
  ): Promise<void> {
    const { path, ino, dev, sync } = named
    await this.#lines.append({ item, named: path, ino, dev, sync })
  }

  async dropped(item: string): Promise<void> {
    this.#identified.delete(item)
    await this.#lines.append({ item, dropped: true })
  }

  /** The partial file has its name now, or is deleted. */
  settled(path: string): void {
    this.#partials.delete(relative(this.#directory, path))
  }

  /** Deletes it, and the hidden files that it names: there is nothing left to go on with. */
  async remove(): Promise<void> {
    await removePartials(this.#directory, this.#partials)
    await this.#lines.remove()
  }

  /** Leaves it to a later process that receives the same. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#lines.append({ process: null }).catch(() => undefined)
    await this.#lines[Symbol.asyncDispose]()
  }
}

interface Recall {
  readonly items: ReadonlyMap<string, ReceivedState>
}

function itemsOf(recalled: RecalledReceive, own: ProcessIdentity): ReadonlyMap<string, ReceivedState> {
  return replay(recalled.entries, own.boot)
}

/**
 * The server is part of the name: the same parcel id elsewhere is another parcel, and what one server gave for going on
 * is never shown to another.
 */
export async function journalPath(stateDirectory: string, directory: string, link: string): Promise<string> {
  const { server, parcelId, key } = parseLink(link)
  const name = createHash('sha256')
    .update(JSON.stringify([directory, server, parcelId]))
    .update(key)
    .digest('hex')
    .slice(0, 32)
  return join(await stateFolder(stateDirectory, RECEIVES), `${name}.jsonl`)
}

/** Deletes partial files. Whatever a journal says, nothing else, and nothing outside the folder. */
export async function removePartials(directory: string, partials: Iterable<string>): Promise<void> {
  for (const partial of partials) {
    const path = resolve(directory, partial)
    if (!path.startsWith(directory.endsWith(sep) ? directory : `${directory}${sep}`) || !isPartialPath(path)) continue
    await rm(path, { force: true }).catch(() => undefined)
  }
}

/** A receive that was not resumed for this long is abandoned. */
const MAX_AGE_MS = 30 * 86_400_000

/** Deletes the partial files of abandoned receives, in any folder, and their journals. */
export async function removeOldReceives(stateDirectory: string, nowMs: number): Promise<void> {
  const folder = await stateFolder(stateDirectory, RECEIVES)
  for (const name of await readdir(folder)) {
    const path = join(folder, name)
    const found = await stat(path).catch(() => null)
    if (found && nowMs - found.mtimeMs > MAX_AGE_MS) await removeReceive(path)
  }
}

/** Deletes the partial files of an earlier receive of a link that has ended, which cannot be resumed. */
export async function forgetReceive(stateDirectory: string, directory: string, link: string): Promise<void> {
  const root = await realpath(resolve(directory)).catch(() => null)
  if (root !== null) await removeReceive(await journalPath(stateDirectory, root, link))
}

async function removeReceive(path: string): Promise<void> {
  const { directory, holder, partials } = await readReceive(path)
  if (holder && (await isRunning(holder))) return
  if (directory !== null) await removePartials(directory, partials)
  await rm(path, { force: true })
}

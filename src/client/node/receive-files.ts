import { createHash } from 'node:crypto'
import { open, rm } from 'node:fs/promises'
import { join, relative, resolve } from 'node:path'

import { isSealiftError } from '../../protocol/errors.ts'
import { parseLink } from '../link.ts'
import type { DownloadResume, TransferOptions } from '../options.ts'
import type { DownloadTarget, ItemResult, OpenedSink, Parcel, ParcelItem } from '../parcel.ts'
import { isPassing } from '../retry.ts'
import { fileSource } from './file-source.ts'
import { FilmPlace } from './film-place.ts'
import { giveName, isPartial, isThere, PartialFile, partialPath } from './partial-file.ts'
import { ReceiveFolders } from './receive-folders.ts'
import { ReceiveJournal } from './receive-journal.ts'
import type { NamedFile } from './receive-journal.ts'
import { assignPaths } from './safe-names.ts'

/** Where `receive` puts items, and which. */
export interface ReceiveOptions extends TransferOptions {
  /** Created when absent. Nothing is written outside it, and nothing in it is overwritten. */
  readonly directory: string
  /** Which items to receive. Default: all. */
  readonly only?: (item: ParcelItem) => boolean
  /** Keeps partial files when the signal aborts, to go on later. Default false: nothing is left behind. */
  readonly keepOnAbort?: boolean
  /** Whether files get the time of their last change that the sender tells. Default true. */
  readonly times?: boolean
  /**
   * Waits until everything is on the disk before it is given its name, so that no power cut can lose it. Default false:
   * as with any copy, the system writes it within seconds, and what is lost until then is still on the server.
   */
  readonly sync?: boolean
}

/** How one item of `receive` ended. Of a failed one nothing stays on disk, unless it can be gone on with. */
export interface ReceivedItem {
  readonly item: ParcelItem
  /** Where it is now, absolute; `null` when it failed. */
  readonly path: string | null
  readonly error: Error | null
}

/** What `receive` gives back: every item, delivered or not. */
export interface Received {
  readonly parcel: Parcel
  /** Those asked for, in the parcel's order. */
  readonly items: readonly ReceivedItem[]
  /** True when every item asked for is there. */
  readonly complete: boolean
}

/** Trying again later changes nothing. */
const FOR_GOOD = [
  'damaged_media',
  'damaged',
  'gone',
  'not_found',
  'downloads_exhausted',
  'sender_gone',
  'invalid_response',
] as const

export async function receiveFiles(link: string, parcel: Parcel, options: ReceiveOptions): Promise<Received> {
  const folders = await ReceiveFolders.open(resolve(options.directory))
  await using journal = await ReceiveJournal.open(folders.root, parcelName(link))
  const receiver = new FileReceiver({ parcel, folders, journal, options })
  const { signal, onProgress } = options
  let results: readonly ItemResult[] = []
  try {
    results = await parcel.downloadAll(receiver, { ...(signal && { signal }), ...(onProgress && { onProgress }) })
  } catch (error) {
    if (signal?.aborted === true && options.keepOnAbort !== true) await journal.remove()
    throw error
  }
  const items = results.map(result => receiver.describe(result))
  const complete = items.every(({ error }) => error === null)
  if (!receiver.leftSomething) await journal.remove()
  if (options.sync === true) await syncFolders(await folders.all())
  return { parcel, items, complete }
}

interface FileReceiverOptions {
  readonly parcel: Parcel
  readonly folders: ReceiveFolders
  readonly journal: ReceiveJournal
  readonly options: ReceiveOptions
}

/** What one item is received into. */
interface ItemFiles {
  readonly item: ParcelItem
  readonly sink: PartialFile
  readonly film: FilmPlace
}

class FileReceiver implements DownloadTarget {
  /** True when receiving again could bring more. */
  leftSomething = false
  readonly #options: FileReceiverOptions
  readonly #paths: readonly (readonly string[])[]
  readonly #received = new Map<string, string>()

  constructor(options: FileReceiverOptions) {
    this.#options = options
    this.#paths = assignPaths(options.parcel.items.map(item => item.name))
  }

  async open(item: ParcelItem): Promise<OpenedSink | 'have' | null> {
    const { journal, folders, options } = this.#options
    if (options.only && !options.only(item)) return null
    const before = journal.recall(item.id)
    const segments = this.#paths[item.index] ?? [item.id]
    const file = segments.at(-1) ?? item.id
    const folder = await folders.folder(segments.slice(0, -1))
    const partial = partialPath(folder, file, item.id)
    if (before.named && (await this.#hasName(item, before.named, before.grant))) {
      await rm(partial, { force: true })
      return 'have'
    }
    const keep = before.finished.length > 0 && (await isPartial(partial))
    if (item.state === 'sending') await journal.opened(item.id, partial)
    const sink = await PartialFile.open(partial, keep)
    const film = new FilmPlace({ journal, folder, file })
    const files: ItemFiles = { item, sink, film }
    return {
      sink,
      resume: this.#resume(item, keep ? before.finished : [], before.grant),
      keep: film,
      settle: error => (error ? this.#give(files, error) : this.#keep(files, { folder, file })),
    }
  }

  describe(result: ItemResult): ReceivedItem {
    const { item } = result
    if (!result.ok) return { item, path: null, error: result.error }
    return { item, path: this.#received.get(item.id) ?? null, error: null }
  }

  /** An earlier process has received it, and it still stands where it was put. */
  async #hasName(item: ParcelItem, named: NamedFile, grant: string | null): Promise<boolean> {
    const { journal, folders } = this.#options
    const path = join(folders.root, named.path)
    if (!(await isThere(path, named.ino))) return false
    if (!named.sure) {
      if (!(await this.#holds(item, path, grant))) return false
      await journal.naming(item.id, { ...named, sync: false })
    }
    this.#received.set(item.id, path)
    return true
  }

  /** Whether a file that was there before the machine was started anew still is what it was. */
  async #holds(item: ParcelItem, path: string, grant: string | null): Promise<boolean> {
    const { parcel, options } = this.#options
    const { signal } = options
    try {
      const source = await fileSource(path)
      return await parcel.matches(item, source, { resume: this.#resume(item, [], grant), ...(signal && { signal }) })
    } catch (error) {
      if (isSealiftError(error, 'local_file', 'file_changed')) return false
      throw error
    }
  }

  #resume(item: ParcelItem, finished: DownloadResume['finished'], grant: string | null): DownloadResume {
    const { journal } = this.#options
    return {
      finished,
      onFinished: range => journal.finished(item.id, range),
      onGrant: given => journal.granted(item.id, given),
      ...(grant !== null && { grant }),
    }
  }

  async #keep(files: ItemFiles, place: { folder: string; file: string }): Promise<void> {
    const { item, sink, film } = files
    const { journal, folders } = this.#options
    try {
      const sync = this.#options.options.sync === true
      const { times = true } = this.#options.options
      const ino = await sink.finish(sync, times && item.modifiedAt !== null ? new Date(item.modifiedAt) : null)
      const announce = (path: string): Promise<void> =>
        journal.naming(item.id, { path: relative(folders.root, path), ino, sync })
      this.#received.set(item.id, await giveName({ ...place, partial: sink.path, announce }))
      await film.remove()
    } catch (error) {
      await this.#drop(files)
      throw error
    }
  }

  async #give(files: ItemFiles, error: Error): Promise<void> {
    if (!isSealiftError(error, ...FOR_GOOD)) this.leftSomething = true
    const mayGoOn = isPassing(error) || (isSealiftError(error, 'aborted') && this.#options.options.keepOnAbort === true)
    if (!mayGoOn) return this.#drop(files)
    await files.sink.close()
    await files.film.close()
  }

  async #drop({ item, sink, film }: ItemFiles): Promise<void> {
    await film.remove()
    await sink.close()
    await rm(sink.path, { force: true })
    await this.#options.journal.dropped(item.id)
  }
}

/** Tells parcels apart in the name of a journal, and tells nothing else. */
function parcelName(link: string): string {
  const { parcelId, key } = parseLink(link)
  return createHash('sha256').update(parcelId).update(key).digest('hex').slice(0, 16)
}

/** Makes new names durable. Systems that cannot sync a folder need no asking. */
async function syncFolders(folders: readonly string[]): Promise<void> {
  await Promise.all(
    folders.map(async folder => {
      try {
        await using handle = await open(folder, 'r')
        await handle.sync()
      } catch {
        // Nothing to be done, and nothing lost but certainty.
      }
    }),
  )
}

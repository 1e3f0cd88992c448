import { open } from 'node:fs/promises'
import { join, relative, resolve } from 'node:path'

import { isSealiftError } from '../../../protocol/errors.ts'
import type { SealiftError } from '../../../protocol/errors.ts'
import type { TransferOptions } from '../../api/options.ts'
import type { DownloadResume } from '../../api/source-and-sink.ts'
import type { DownloadTarget, ItemResult, OpenedSink, Parcel, ParcelItem } from '../../api/parcel.ts'
import { isPassing } from '../../wire/retrier.ts'
import { assignPaths } from './safe-names.ts'
import { fileSource } from '../files/file-source.ts'
import { PartialFilm } from './partial-film.ts'
import { giveName, fileAt, PartialFile, partialPath } from './partial-file.ts'
import type { NamedFile, ReceivedState } from './receive-journal-entries.ts'
import { ReceiveFolders } from './receive-folders.ts'
import { ReceiveJournal, removePartials, removeOldReceives } from './receive-journal.ts'
import type { NameChange, SafeName } from './safe-names.ts'

/** Where `receive` puts items, and which. */
export interface ReceiveOptions extends TransferOptions {
  /** Created when absent. Nothing is written outside it, and nothing in it is overwritten. */
  readonly directory: string
  /** Which items to receive. Default: all. */
  readonly only?: (item: ParcelItem) => boolean
  /** Keeps partial files when the signal aborts, to go on later. Default false: nothing is left behind. */
  readonly keepOnAbort?: boolean
  /** Whether files get the modification time that the sender gives. Default true. */
  readonly times?: boolean
  /**
   * Waits until everything is on the disk before it is given its name, so that no power cut can lose it. Default false:
   * as with any copy, the system writes it within seconds, and what is lost until then is still on the server.
   */
  readonly sync?: boolean
  /**
   * Gives items names that begin with a dot when their sender calls them so. Default false: `.ssh` becomes `_.ssh`, so
   * that no link can put hidden files, which programs obey, into the folder.
   */
  readonly hidden?: boolean
}

/** How one item of `receive` ended. Of a failed one nothing stays on disk, unless it can be gone on with. */
export interface ReceivedItem {
  readonly item: ParcelItem
  /** Where it is now, absolute; `null` when it failed. */
  readonly path: string | null
  /** Why the path is not the item's name; empty when it is. */
  readonly changes: readonly NameChange[]
  /** How many bytes the file has; `null` when it failed. */
  readonly bytes: number | null
  readonly error: Error | null
}

/** What `receive` returns: every item, received or not. */
export interface Received {
  readonly parcel: Parcel
  /** The folder, absolute, without symbolic links. */
  readonly directory: string
  /** Those asked for, in the parcel's order. */
  readonly items: readonly ReceivedItem[]
  /** True when every item asked for is there. */
  readonly complete: boolean
}

/** A later attempt fails in the same way. */
const FOR_GOOD = [
  'damaged_media',
  'damaged',
  'gone',
  'not_found',
  'downloads_exhausted',
  'sender_gone',
  'invalid_response',
] as const

interface ReceiveState {
  readonly link: string
  /** Where the journal is stored; `false`: nowhere. */
  readonly stateDirectory: string | false
  readonly onStateFailure: (error: SealiftError) => void
}

export async function receiveFiles(
  parcel: Parcel,
  { link, stateDirectory, onStateFailure }: ReceiveState,
  options: ReceiveOptions,
): Promise<Received> {
  const folders = await ReceiveFolders.open(resolve(options.directory), stateDirectory)
  await using journal = await openJournal({ link, stateDirectory, onStateFailure }, folders.root)
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
  return { parcel, directory: folders.root, items, complete }
}

/** Without a usable state directory, a receive cannot be resumed, but goes on. */
async function openJournal(
  { link, stateDirectory, onStateFailure }: ReceiveState,
  directory: string,
): Promise<ReceiveJournal> {
  if (stateDirectory === false) return ReceiveJournal.inMemory(directory)
  try {
    await removeOldReceives(stateDirectory, Date.now())
    return await ReceiveJournal.open(stateDirectory, directory, link)
  } catch (error) {
    if (!isSealiftError(error, 'local_file') || error.context['path'] === directory) throw error
    onStateFailure(error)
    return ReceiveJournal.inMemory(directory)
  }
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
  readonly film: PartialFilm
}

interface ReceivedFile {
  readonly path: string
  /** `null`: as many as were downloaded. */
  readonly bytes: number | null
}

class FileReceiver implements DownloadTarget {
  /** True when receiving again could bring more. */
  leftSomething = false
  readonly #options: FileReceiverOptions
  readonly #names: readonly SafeName[]
  readonly #received = new Map<string, ReceivedFile>()

  constructor(options: FileReceiverOptions) {
    this.#options = options
    const { hidden = false } = options.options
    this.#names = assignPaths(
      options.parcel.items.map(item => item.name),
      { hidden },
    )
  }

  async open(item: ParcelItem): Promise<OpenedSink | 'have' | null> {
    const { journal, folders, options } = this.#options
    if (options.only && !options.only(item)) return null
    const before = journal.recall(item.id)
    if (before.named && (await this.#hasName(item, before.named, before.grant))) {
      await this.#removeOld(before)
      return 'have'
    }
    const segments = this.#segmentsOf(item)
    const file = segments.at(-1) ?? item.id
    const folder = await folders.folder(segments.slice(0, -1))
    const kept = await this.#reopen(before)
    const sink = kept ?? (await this.#create(item, { folder, before }))
    const film = new PartialFilm({ journal, root: folders.root, folder })
    const files: ItemFiles = { item, sink, film }
    const resume = this.#resume(item, { finished: kept ? before.finished : [], grant: before.grant })
    return {
      sink,
      resume: { ...resume, onFinished: range => journal.finished(item.id, range, sink) },
      keep: film,
      settle: error => (error ? this.#give(files, error) : this.#keep(files, { folder, file })),
    }
  }

  describe(result: ItemResult): ReceivedItem {
    const { item } = result
    if (!result.ok) return { item, path: null, changes: [], bytes: null, error: result.error }
    const received = this.#received.get(item.id)
    const path = received?.path ?? null
    return { item, path, changes: this.#changesOf(item, path), bytes: received?.bytes ?? result.bytes, error: null }
  }

  #segmentsOf(item: ParcelItem): readonly string[] {
    return this.#names[item.index]?.segments ?? [item.id]
  }

  /** Something else may have stood where the item was to go. */
  #changesOf(item: ParcelItem, path: string | null): readonly NameChange[] {
    const changes = this.#names[item.index]?.changes ?? []
    const isAsAssigned = path === null || path === join(this.#options.folders.root, ...this.#segmentsOf(item))
    return isAsAssigned || changes.includes('taken') ? changes : [...changes, 'taken']
  }

  async #reopen({ finished, partial }: ReceivedState): Promise<PartialFile | null> {
    if (finished.length === 0 || !partial?.identity) return null
    return await PartialFile.reopen(join(this.#options.folders.root, partial.path), partial.identity)
  }

  async #create(
    item: ParcelItem,
    { folder, before }: { readonly folder: string; readonly before: ReceivedState },
  ): Promise<PartialFile> {
    await this.#removeOld(before)
    const path = partialPath(folder)
    await this.#options.journal.opening(item.id, path)
    return await PartialFile.create(path)
  }

  async #removeOld({ partial }: ReceivedState): Promise<void> {
    if (partial) await removePartials(this.#options.folders.root, [partial.path])
  }

  /** An earlier process has received it, and it still stands where it was put. */
  async #hasName(item: ParcelItem, named: NamedFile, grant: string | null): Promise<boolean> {
    const { journal, folders } = this.#options
    const path = join(folders.root, named.path)
    const found = await fileAt(path)
    if (found?.ino !== named.ino) return false
    if (!named.sure || found.dev !== named.dev) {
      if (!(await this.#holds(item, path, grant))) return false
      const { ino, dev } = found
      await journal.naming(item.id, { ino, dev, path: named.path, sync: false })
    }
    this.#received.set(item.id, { path, bytes: found.bytes })
    return true
  }

  /** Whether a file that was there before the machine was started anew still is what it was. */
  async #holds(item: ParcelItem, path: string, grant: string | null): Promise<boolean> {
    const { parcel, options } = this.#options
    const { signal } = options
    try {
      const source = await fileSource(path)
      const resume = { ...this.#resume(item, { finished: [], grant }), onFinished: () => undefined }
      return await parcel.matches(item, source, { resume, ...(signal && { signal }) })
    } catch (error) {
      if (isSealiftError(error, 'local_file', 'file_changed')) return false
      throw error
    }
  }

  #resume(
    item: ParcelItem,
    { finished, grant }: Pick<ReceivedState, 'finished' | 'grant'>,
  ): Omit<DownloadResume, 'onFinished'> {
    return {
      finished,
      onGrant: given => this.#options.journal.granted(item.id, given),
      ...(grant !== null && { grant }),
    }
  }

  async #keep(files: ItemFiles, place: { folder: string; file: string }): Promise<void> {
    const { item, sink, film } = files
    const { journal, folders } = this.#options
    try {
      const sync = this.#options.options.sync === true
      const { times = true } = this.#options.options
      await sink.finish(sync, times && item.modifiedAt !== null ? new Date(item.modifiedAt) : null)
      const announce = (path: string): Promise<void> =>
        journal.naming(item.id, { ...sink.identity, path: relative(folders.root, path), sync })
      const path = await giveName({ ...place, partial: sink.path, announce })
      this.#received.set(item.id, { path, bytes: null })
      journal.settled(sink.path)
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
    const { journal } = this.#options
    await film.remove()
    await sink.remove()
    journal.settled(sink.path)
    await journal.dropped(item.id)
  }
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

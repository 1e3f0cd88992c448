import { BoundedMap } from '../../../common/bounded-map.ts'
import { SealiftError } from '../../../protocol/errors.ts'
import type { BlobId } from '../blob-store.ts'
import { InFlightParts } from '../in-flight-parts.ts'
import type { BlobPaths, Folders } from './disk-layout.ts'
import { isMissing, translateFileError, type FileSystem, type OpenFile } from './file-system.ts'

/** Files whose name is known to be durable. One that is forgotten costs a superfluous sync. */
const NAMED_CAPACITY = 10_000

interface OpenUpload {
  readonly opened: Promise<UploadFile>
  /** Resolves when the file's name is durable. */
  readonly named: Promise<void>
}

/** The files that receive parts: each is open once, however many of its parts arrive, and closed with the last one. */
export class UploadFiles {
  readonly #files: FileSystem
  readonly #paths: BlobPaths
  readonly #folders: Folders
  /** Blobs with a file that lost writes; until they are deleted. */
  readonly #poisoned = new Map<BlobId, SealiftError>()
  readonly #named = new BoundedMap<BlobId, true>(NAMED_CAPACITY)
  readonly #earlySyncs = new EarlySyncs()
  readonly #inFlight = new InFlightParts<OpenUpload>({
    open: blobId => this.#open(blobId),
    close: (blobId, upload) => this.#close(blobId, upload),
  })

  constructor(files: FileSystem, paths: BlobPaths, folders: Folders) {
    this.#files = files
    this.#paths = paths
    this.#folders = folders
  }

  /** Runs `write` with the blob's file open; its signal aborts when the blob is completed or deleted. */
  async use<T>(blobId: BlobId, write: (file: UploadFile, stopped: AbortSignal) => Promise<T>): Promise<T> {
    this.assertSound(blobId)
    return this.#inFlight.run(blobId, async ({ opened, named }, stopped) => {
      const file = await opened
      stopped.throwIfAborted()
      const result = await write(file, stopped)
      await named
      return result
    })
  }

  /** Aborts every part of a blob that is in flight, and waits until none uses the file. */
  stop(blobId: BlobId, reason: SealiftError): Promise<void> {
    return this.#inFlight.stop(blobId, reason)
  }

  /** @throws the error of the sync that failed */
  assertSound(blobId: BlobId): void {
    const poison = this.#poisoned.get(blobId)
    if (poison) throw poison
  }

  poison(blobId: BlobId, error: SealiftError): void {
    this.#poisoned.set(blobId, error)
  }

  forget(blobId: BlobId): void {
    this.#poisoned.delete(blobId)
    this.#named.delete(blobId)
  }

  close(): Promise<void> {
    return this.#inFlight.stopAll(new SealiftError('shutting_down', 'The server is stopping'))
  }

  #open(blobId: BlobId): OpenUpload {
    const opened = this.#openFile(blobId)
    const named = opened.then(() => this.#syncName(blobId))
    named.catch(() => undefined)
    return { opened, named }
  }

  async #close(blobId: BlobId, { opened, named }: OpenUpload): Promise<void> {
    const file = await opened.catch(() => null)
    await named.catch(() => undefined)
    if (file?.poison) this.poison(blobId, file.poison)
    // All acknowledged bytes are synced, so a failing close loses nothing.
    await file?.close().catch(() => undefined)
  }

  async #openFile(blobId: BlobId): Promise<UploadFile> {
    const path = this.#paths.file('uploads', blobId)
    const folder = this.#paths.folderOf(path)
    try {
      await this.#folders.ensure(folder)
      return new UploadFile(await this.#files.open(path, 'make'), this.#earlySyncs)
    } catch (error) {
      if (isMissing(error)) this.#folders.forget(folder)
      throw translateFileError(error)
    }
  }

  /** Runs beside the first writes; no part is durable before it has succeeded. */
  async #syncName(blobId: BlobId): Promise<void> {
    if (this.#named.has(blobId)) return
    try {
      await this.#files.syncFolder(this.#paths.folderOf(this.#paths.file('uploads', blobId)))
    } catch (error) {
      const failure = translateFileError(error)
      this.poison(blobId, failure)
      throw failure
    }
    this.#named.set(blobId, true)
  }
}

/** At most one early sync at a time, for all files of a store: each sync occupies a thread. */
class EarlySyncs {
  #running = false

  tryRun(sync: () => Promise<void>): void {
    if (this.#running) return
    this.#running = true
    // A failure poisons the file, and so reaches the parts that wait for their own sync.
    void sync()
      .catch(() => undefined)
      .finally(() => (this.#running = false))
  }
}

/** This many unsynced bytes start an early sync. */
const EARLY_SYNC_BYTES = 4 * 1024 * 1024

/**
 * The open file of a blob, shared by all of its parts in flight.
 *
 * One sync serves every part that waited for it: with many parts in flight the disk syncs once per round, not once per
 * part. A sync that fails poisons the file for good: the kernel has dropped the unwritten pages and would report the
 * next sync as a success.
 *
 * Early syncs let the disk work while the network does, so that the sync that a part waits for has little left to do.
 */
export class UploadFile {
  readonly #file: OpenFile
  readonly #earlySyncs: EarlySyncs
  #unsyncedBytes = 0
  #running: Promise<void> | null = null
  #next: Promise<void> | null = null
  #poison: SealiftError | null = null

  constructor(file: OpenFile, earlySyncs: EarlySyncs) {
    this.#file = file
    this.#earlySyncs = earlySyncs
  }

  get poison(): SealiftError | null {
    return this.#poison
  }

  /** Writes all of `pieces`. @throws storage_full, unavailable */
  async write(pieces: readonly Uint8Array[], position: number): Promise<void> {
    let left = pieces
    let at = position
    while (left.length > 0) {
      this.#assertSound()
      const written = await this.#file.write(left, at).catch(fail)
      at += written
      left = dropBytes(left, written)
      this.#unsyncedBytes += written
    }
    if (this.#running === null && this.#unsyncedBytes >= EARLY_SYNC_BYTES) this.#earlySyncs.tryRun(() => this.sync())
  }

  /** Resolves when everything written before this call is durable. @throws storage_full, unavailable */
  sync(): Promise<void> {
    if (this.#running === null) return this.#startSync()
    this.#next ??= this.#running.then(() => this.#startSync())
    return this.#next
  }

  close(): Promise<void> {
    return this.#file.close().catch(fail)
  }

  #startSync(): Promise<void> {
    this.#next = null
    this.#unsyncedBytes = 0
    const running = this.#syncOnce().finally(() => {
      this.#running = null
    })
    this.#running = running
    return running
  }

  async #syncOnce(): Promise<void> {
    this.#assertSound()
    try {
      await this.#file.syncData()
    } catch (error) {
      this.#poison = translateFileError(error)
      throw this.#poison
    }
  }

  #assertSound(): void {
    if (this.#poison) throw this.#poison
  }
}

function fail(error: unknown): never {
  throw translateFileError(error)
}

function dropBytes(pieces: readonly Uint8Array[], count: number): readonly Uint8Array[] {
  let index = 0
  let left = count
  for (let piece = pieces[0]; piece && piece.length <= left; piece = pieces[index]) {
    left -= piece.length
    index += 1
  }
  const [first, ...rest] = pieces.slice(index)
  return first ? [first.subarray(left), ...rest] : []
}

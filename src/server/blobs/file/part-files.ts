import { SealiftError } from '../../../protocol/errors.ts'
import type { BlobPaths, Folders } from './disk-layout.ts'
import type { BlobId } from '../blob-store.ts'
import { isMissing, translateFileError, type FileSystem, type OpenFile } from './file-system.ts'

/** Blobs whose name is known to be durable; forgetting them costs one sync too many each. */
const NAMED_CAPACITY = 10_000

interface Holder {
  readonly opened: Promise<BlobWriter>
  /** Resolves when the file's name is durable. */
  readonly named: Promise<void>
  readonly stop: AbortController
  readonly idle: PromiseWithResolvers<void>
  users: number
}

/** The files that take parts right now: each is open once, however many of its parts arrive, and closed with the last. */
export class BlobWriters {
  readonly #files: FileSystem
  readonly #paths: BlobPaths
  readonly #folders: Folders
  readonly #holders = new Map<BlobId, Holder>()
  /** Blobs whose file can no longer be trusted; until they are deleted. */
  readonly #poisoned = new Map<BlobId, SealiftError>()
  readonly #named = new Set<BlobId>()
  readonly #syncsAhead = new SyncsAhead()

  constructor(files: FileSystem, paths: BlobPaths, folders: Folders) {
    this.#files = files
    this.#paths = paths
    this.#folders = folders
  }

  /** Runs `write` with the blob's file open; its signal aborts when the blob is sealed or deleted. */
  async use<T>(blobId: BlobId, write: (writer: BlobWriter, stopped: AbortSignal) => Promise<T>): Promise<T> {
    this.assertSound(blobId)
    const holder = this.#hold(blobId)
    try {
      const writer = await holder.opened
      holder.stop.signal.throwIfAborted()
      const result = await write(writer, holder.stop.signal)
      await holder.named
      return result
    } finally {
      await this.#release(blobId, holder)
    }
  }

  /** Cuts off every part of a blob that is still on its way, and waits until none touches the file any more. */
  async stop(blobId: BlobId, reason: SealiftError): Promise<void> {
    const holder = this.#holders.get(blobId)
    if (!holder) return
    holder.stop.abort(reason)
    await holder.idle.promise
  }

  /** @throws what once failed, when this blob's file can no longer be trusted */
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

  async close(): Promise<void> {
    const reason = new SealiftError('shutting_down', 'The server is stopping')
    await Promise.all([...this.#holders.keys()].map(blobId => this.stop(blobId, reason)))
  }

  #hold(blobId: BlobId): Holder {
    const known = this.#holders.get(blobId)
    const holder = known && !known.stop.signal.aborted ? known : this.#add(blobId)
    holder.users += 1
    return holder
  }

  #add(blobId: BlobId): Holder {
    const opened = this.#open(blobId)
    const named = opened.then(() => this.#syncName(blobId))
    named.catch(() => undefined)
    const holder = {
      opened,
      named,
      stop: new AbortController(),
      idle: Promise.withResolvers<void>(),
      users: 0,
    }
    this.#holders.set(blobId, holder)
    return holder
  }

  async #release(blobId: BlobId, holder: Holder): Promise<void> {
    holder.users -= 1
    if (holder.users > 0) return
    if (this.#holders.get(blobId) === holder) this.#holders.delete(blobId)
    const writer = await holder.opened.catch(() => null)
    await holder.named.catch(() => undefined)
    if (writer?.poison) this.poison(blobId, writer.poison)
    // Every byte that counts was synced by now; a file that does not close cleanly changes nothing about that.
    await writer?.close().catch(() => undefined)
    holder.idle.resolve()
  }

  async #open(blobId: BlobId): Promise<BlobWriter> {
    const path = this.#paths.file('uploads', blobId)
    const folder = this.#paths.folderOf(path)
    try {
      await this.#folders.ensure(folder)
      return new BlobWriter(await this.#files.open(path, 'make'), this.#syncsAhead)
    } catch (error) {
      if (isMissing(error)) this.#folders.forget(folder)
      throw translateFileError(error)
    }
  }

  /** Goes on beside the first writes; no part is durable before it. */
  async #syncName(blobId: BlobId): Promise<void> {
    if (this.#named.has(blobId)) return
    try {
      await this.#files.syncFolder(this.#paths.folderOf(this.#paths.file('uploads', blobId)))
    } catch (error) {
      const failure = translateFileError(error)
      this.poison(blobId, failure)
      throw failure
    }
    if (this.#named.size >= NAMED_CAPACITY) this.#named.clear()
    this.#named.add(blobId)
  }
}

/** So many bytes that no sync has covered yet are worth one ahead of time. */
const SYNC_AHEAD_BYTES = 4 * 1024 * 1024

/** Lets one sync ahead of time run at once, for all files of a store: a thread each is all that syncs may take. */
export class SyncsAhead {
  #running = false

  /** Runs `sync` unless one runs. */
  tryRun(sync: () => Promise<void>): void {
    if (this.#running) return
    this.#running = true
    // Who waits for these bytes learns of a failure: it poisons the file.
    void sync()
      .catch(() => undefined)
      .finally(() => (this.#running = false))
  }
}

/**
 * The open file of a blob that takes parts, shared by all parts on their way.
 *
 * One sync serves every part that waited for it: with many parts in flight the disk syncs once per round, not once per
 * part. A sync that fails poisons the file for good: the kernel has dropped the unwritten pages and would call the next
 * sync a success, so nothing about this file can be promised any more.
 *
 * While bytes arrive, what has arrived is synced already: the disk works while the network does, and the sync that a
 * part waits for has little left to do.
 */
export class BlobWriter {
  readonly #file: OpenFile
  readonly #ahead: SyncsAhead
  #unsyncedBytes = 0
  #running: Promise<void> | null = null
  #next: Promise<void> | null = null
  #poison: SealiftError | null = null

  constructor(file: OpenFile, ahead: SyncsAhead) {
    this.#file = file
    this.#ahead = ahead
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
    if (this.#running === null && this.#unsyncedBytes >= SYNC_AHEAD_BYTES) this.#ahead.tryRun(() => this.sync())
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

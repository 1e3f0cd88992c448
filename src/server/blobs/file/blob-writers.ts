import { SealiftError } from '../../../protocol/errors.ts'
import type { BlobPaths } from './blob-paths.ts'
import type { BlobId } from '../blob-store.ts'
import { BlobWriter, SyncsAhead } from './blob-writer.ts'
import { isMissing, translateFileError } from './file-errors.ts'
import type { FileSystem } from './file-system.ts'
import type { Folders } from './folders.ts'

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

import { SealiftError } from '../../../protocol/errors.ts'
import type { BlobPaths, Stage } from './disk-layout.ts'
import type { BlobId } from '../blob-store.ts'
import { isMissing, isOutOfDescriptors, translateFileError, type FileSystem, type OpenFile } from './file-system.ts'

interface Entry {
  readonly opened: Promise<OpenFile>
  /** Set once `opened` has resolved, so that the next reader need not wait for a promise. */
  file: OpenFile | null
  readers: number
  /** Used since room was last looked for. */
  used: boolean
  /** No longer to be found here: closed as soon as nobody reads. */
  dropped: boolean
}

export interface HeldFile {
  readonly file: OpenFile
  release(): void
}

/** A blob is renamed once in its life, from `uploads` to `media`: looking where it was and where it is finds it. */
const LOOK_IN: readonly Stage[] = ['media', 'uploads', 'media']

/**
 * Keeps the files of blobs that are read often open, the last used ones, so that a small read costs one operation of
 * the disk and no opening. A file that is being read is never closed under its reader.
 */
export class OpenFiles {
  readonly #files: FileSystem
  readonly #paths: BlobPaths
  readonly #capacity: number
  /** In the order in which they were opened, but that those in use go to the end when room is looked for. */
  readonly #entries = new Map<BlobId, Entry>()

  constructor(files: FileSystem, paths: BlobPaths, capacity: number) {
    this.#files = files
    this.#paths = paths
    this.#capacity = capacity
  }

  /** @throws damaged when the blob has no file, unavailable */
  async acquire(blobId: BlobId): Promise<HeldFile> {
    const entry = this.#use(blobId)
    entry.readers += 1
    try {
      const file = entry.file ?? (await entry.opened)
      return { file, release: () => this.#release(entry) }
    } catch (error) {
      this.#release(entry)
      throw translateFileError(error)
    }
  }

  /** The blob's file, if it is open: for whoever is done with it in the same turn. */
  peek(blobId: BlobId): OpenFile | null {
    const entry = this.#entries.get(blobId)
    if (!entry?.file) return null
    entry.used = true
    return entry.file
  }

  /** The blob is deleted: who reads it now may go on, nobody else will find it here. */
  drop(blobId: BlobId): void {
    const entry = this.#entries.get(blobId)
    if (!entry) return
    this.#entries.delete(blobId)
    this.#retire(entry)
  }

  /** Closes everything that nobody reads. */
  dropAll(): void {
    for (const blobId of this.#entries.keys()) this.drop(blobId)
  }

  #use(blobId: BlobId): Entry {
    const known = this.#entries.get(blobId)
    if (known) {
      known.used = true
      return known
    }
    this.#makeRoom()
    return this.#add(blobId)
  }

  #add(blobId: BlobId): Entry {
    const opened = this.#open(blobId)
    const entry: Entry = { opened, file: null, readers: 0, used: false, dropped: false }
    this.#entries.set(blobId, entry)
    opened.then(
      file => (entry.file = file),
      () => {
        if (this.#entries.get(blobId) === entry) this.#entries.delete(blobId)
      },
    )
    return entry
  }

  async #open(blobId: BlobId): Promise<OpenFile> {
    try {
      return await this.#find(blobId)
    } catch (error) {
      if (!isOutOfDescriptors(error)) throw error
      this.dropAll()
      return this.#find(blobId)
    }
  }

  async #find(blobId: BlobId): Promise<OpenFile> {
    for (const stage of LOOK_IN) {
      try {
        return await this.#files.open(this.#paths.file(stage, blobId), 'read')
      } catch (error) {
        if (!isMissing(error)) throw error
      }
    }
    throw new SealiftError('damaged', 'The stored bytes are missing: run `sealift fsck`')
  }

  #makeRoom(): void {
    let left = 2 * this.#entries.size
    for (const [blobId, entry] of this.#entries) {
      if (this.#entries.size < this.#capacity || left === 0) return
      left -= 1
      if (entry.readers === 0 && !entry.used) this.drop(blobId)
      else this.#toEnd(blobId, entry)
    }
  }

  /** Moving an entry at each use would cost more than the few looks that its second chance does. */
  #toEnd(blobId: BlobId, entry: Entry): void {
    entry.used = false
    this.#entries.delete(blobId)
    this.#entries.set(blobId, entry)
  }

  #release(entry: Entry): void {
    entry.readers -= 1
    if (entry.dropped) this.#retire(entry)
  }

  #retire(entry: Entry): void {
    entry.dropped = true
    if (entry.readers > 0) return
    // Nothing was written through it, so a failing close loses nothing.
    void entry.opened.then(file => file.close()).catch(() => undefined)
  }
}

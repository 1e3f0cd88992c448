import { SealiftError } from '../../../protocol/errors.ts'
import type { BlobPaths, Stage } from './disk-layout.ts'
import type { BlobId } from '../blob-store.ts'
import { isMissing, isOutOfDescriptors, translateFileError, type FileSystem, type OpenFile } from './file-system.ts'

interface Entry {
  readonly opened: Promise<OpenFile>
  /** Set once `opened` has resolved, so that the next reader need not wait for a promise. */
  file: OpenFile | null
  readers: number
  /** Used since the last eviction. */
  used: boolean
  /** Removed from the cache: closed with its last reader. */
  dropped: boolean
}

export interface HeldFile {
  readonly file: OpenFile
  release(): void
}

/** A blob's file is renamed once, from `uploads` to `media`: looking in both, and again in `media`, finds it. */
const LOOK_IN: readonly Stage[] = ['media', 'uploads', 'media']

/**
 * A cache of open files, so that a small read costs one disk operation. A file that is being read is never closed.
 * Eviction gives a second chance: an entry used since the last eviction moves to the end instead.
 */
export class OpenFiles {
  readonly #files: FileSystem
  readonly #paths: BlobPaths
  readonly #capacity: number
  /** The next one to evict first. */
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

  /** The blob's file, if it is open: for use within the same turn of the event loop. */
  peek(blobId: BlobId): OpenFile | null {
    const entry = this.#entries.get(blobId)
    if (!entry?.file) return null
    entry.used = true
    return entry.file
  }

  /** For a deleted blob: running reads continue, new ones do not find the file. */
  drop(blobId: BlobId): void {
    const entry = this.#entries.get(blobId)
    if (!entry) return
    this.#entries.delete(blobId)
    this.#retire(entry)
  }

  /** Closes every file without a reader. */
  dropAll(): void {
    for (const blobId of this.#entries.keys()) this.drop(blobId)
  }

  #use(blobId: BlobId): Entry {
    const known = this.#entries.get(blobId)
    if (known) {
      known.used = true
      return known
    }
    this.#evict()
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

  #evict(): void {
    let left = 2 * this.#entries.size
    for (const [blobId, entry] of this.#entries) {
      if (this.#entries.size < this.#capacity || left === 0) return
      left -= 1
      if (entry.readers === 0 && !entry.used) this.drop(blobId)
      else this.#toEnd(blobId, entry)
    }
  }

  /** Cheaper than moving an entry at each use. */
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
    // It was only read, so a failing close loses nothing.
    void entry.opened.then(file => file.close()).catch(() => undefined)
  }
}

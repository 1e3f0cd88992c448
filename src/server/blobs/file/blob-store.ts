/**
 * Blobs as files: one per blob, its parts written in place.
 *
 * What it writes, in which order:
 * - a part: the file `uploads/ab/<id>` is created and its name synced, then bytes → fdatasync → the call resolves;
 * - complete: cut to size → fsync → rename to `media/ab/<id>` → fsync of that folder → the call resolves;
 * - delete: unlink in `uploads`, then in `media` (in this order a concurrent rename leaves nothing behind).
 *
 * What a crash leaves, and who cleans:
 * - bytes of a part that was never acknowledged: overwritten when the part is sent again, or cut off at complete;
 * - a file without a record (begun, or deleted and purged): the sweeper's orphan pass, after its grace time;
 * - a renamed file whose record still says `completing`: the sweeper repeats complete, which finds it there;
 * - a tombstone whose file is still there: the sweeper deletes it again;
 * - a `.probe-…` file: the next opening of the store removes it.
 */
import { randomBytes } from 'node:crypto'
import { join, relative, sep } from 'node:path'

import { SealiftError } from '../../../protocol/errors.ts'
import { BlobPaths, STAGES, Folders, listBlobs, statBlob } from './disk-layout.ts'
import type {
  BlobAddress,
  BlobId,
  BlobStore,
  BlobRange,
  ByteSink,
  CachedBytes,
  ChecksBlobs,
  DiskSpace,
  LocatesFiles,
  MeasuresSpace,
  PartAddress,
  ReadsCached,
  StoredBlob,
} from '../blob-store.ts'
import { UploadFiles } from './upload-files.ts'
import { BufferPool, SMALL_BYTES } from '../../buffers/buffer-pool.ts'
import { copyRange, PooledRead } from './copy-range.ts'
import { isMissing, translateFileError, type FileSystem, nodeFileSystem } from './file-system.ts'
import { OpenFiles } from './open-files.ts'
import { type Finalizing, finalizeFile } from './finalize-file.ts'
import { WriteMemory, writePart } from './write-part.ts'

const OPEN_FILES = 512
const READ_MEMORY_BYTES = 8 * 2 ** 20
const WRITE_MEMORY_BYTES = 8 * 2 ** 20
const PROBE_PREFIX = '.probe-'

export interface FileBlobStoreOptions {
  /** Created when absent. */
  readonly directory: string
  /** Most files that stay open for reading, beyond those being read; 512 by default. */
  readonly openFiles?: number
  /** Memory reserved for fast reads; 8 MiB by default. Beyond it, each running read holds 64 KiB. */
  readonly readMemoryBytes?: number
  /** Memory for gathering small pieces into large writes; 8 MiB by default. Beyond it, each part holds one piece. */
  readonly writeMemoryBytes?: number
  readonly fileSystem?: FileSystem
}

export type FileBlobStore = BlobStore & MeasuresSpace & ChecksBlobs & LocatesFiles & ReadsCached

/** @throws unavailable when the directory cannot be created or written */
export async function openFileBlobStore(options: FileBlobStoreOptions): Promise<FileBlobStore> {
  const store = new FilesBlobStore(options)
  await store.prepare()
  return store
}

class FilesBlobStore implements FileBlobStore {
  readonly measures = 'end'
  readonly #files: FileSystem
  readonly #paths: BlobPaths
  readonly #folders: Folders
  readonly #uploads: UploadFiles
  readonly #openFiles: OpenFiles
  readonly #pool: BufferPool
  readonly #writeMemory: WriteMemory
  readonly #finalizing: Finalizing

  constructor(options: FileBlobStoreOptions) {
    this.#files = options.fileSystem ?? nodeFileSystem
    this.#paths = new BlobPaths(options.directory)
    this.#folders = new Folders(this.#files)
    this.#uploads = new UploadFiles(this.#files, this.#paths, this.#folders)
    this.#openFiles = new OpenFiles(this.#files, this.#paths, options.openFiles ?? OPEN_FILES)
    this.#pool = new BufferPool(options.readMemoryBytes ?? READ_MEMORY_BYTES)
    this.#writeMemory = new WriteMemory(options.writeMemoryBytes ?? WRITE_MEMORY_BYTES)
    this.#finalizing = {
      files: this.#files,
      folders: this.#folders,
      paths: this.#paths,
      poison: (blobId, error) => this.#uploads.poison(blobId, error),
    }
  }

  prepare(): Promise<void> {
    return translated(async () => {
      await this.#files.makeFolder(this.#paths.directory)
      await this.#folders.syncAncestors(this.#paths.directory)
      for (const stage of STAGES) await this.#folders.ensure(this.#paths.stage(stage))
      for (const name of await this.#files.list(this.#paths.directory)) {
        if (name.startsWith(PROBE_PREFIX)) await this.#files.remove(join(this.#paths.directory, name))
      }
    })
  }

  async putPart(part: PartAddress, source: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<number> {
    signal.throwIfAborted()
    return this.#uploads.use(part.blobId, async (file, stopped) => {
      const target = { file, memory: this.#writeMemory }
      const sizeBytes = await writePart(target, part, source, AbortSignal.any([signal, stopped]))
      await file.sync()
      return sizeBytes
    })
  }

  async read({ blobId }: BlobAddress, range: BlobRange, sink: ByteSink, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    if (range.end <= range.start) return
    const held = await this.#openFiles.acquire(blobId)
    try {
      await copyRange({ file: held.file, pool: this.#pool, sink, signal }, range)
    } finally {
      held.release()
    }
  }

  tryReadCached(blobId: BlobId, { start, end }: BlobRange): CachedBytes | null {
    const lengthBytes = end - start
    const file = lengthBytes > 0 && lengthBytes <= SMALL_BYTES ? this.#openFiles.peek(blobId) : null
    return file && PooledRead.read(file, this.#pool, lengthBytes, start)
  }

  async complete({ blobId }: BlobAddress, sizeBytes: number): Promise<void> {
    await this.#uploads.stop(blobId, new SealiftError('upload_complete', 'The upload was completed without this part'))
    this.#uploads.assertSound(blobId)
    await translated(() => finalizeFile(this.#finalizing, blobId, sizeBytes))
    this.#uploads.forget(blobId)
  }

  async delete(blobId: BlobId): Promise<void> {
    await this.#uploads.stop(blobId, new SealiftError('gone', 'The media item was deleted'))
    await translated(async () => {
      for (const stage of STAGES) await this.#removeIfThere(this.#paths.file(stage, blobId))
    })
    this.#openFiles.drop(blobId)
    this.#uploads.forget(blobId)
  }

  list(signal: AbortSignal): AsyncIterable<StoredBlob> {
    return listBlobs(this.#files, this.#paths, signal)
  }

  stat(blobId: BlobId): Promise<StoredBlob | null> {
    return statBlob(this.#files, this.#paths, blobId)
  }

  fileOf(blobId: BlobId): string {
    return relative(this.#paths.directory, this.#paths.file('media', blobId)).replaceAll(sep, '/')
  }

  freeSpace(): Promise<DiskSpace> {
    return translated(() => this.#files.space(this.#paths.directory))
  }

  probe(): Promise<void> {
    const path = join(this.#paths.directory, `${PROBE_PREFIX}${randomBytes(8).toString('hex')}`)
    return translated(async () => {
      try {
        await this.#writeAndReadBack(path)
      } finally {
        await this.#removeIfThere(path)
      }
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#uploads.close()
    this.#openFiles.dropAll()
  }

  async #writeAndReadBack(path: string): Promise<void> {
    const sent = randomBytes(16)
    const received = Buffer.alloc(sent.length)
    const file = await this.#files.open(path, 'make')
    try {
      await file.write([sent], 0)
      await file.syncData()
      await file.read(received, received.length, 0)
    } finally {
      await file.close()
    }
    if (!received.equals(sent)) throw new SealiftError('unavailable', 'The media storage returns other bytes')
  }

  async #removeIfThere(path: string): Promise<void> {
    try {
      await this.#files.remove(path)
    } catch (error) {
      if (!isMissing(error)) throw error
    }
  }
}

async function translated<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw translateFileError(error)
  }
}

/**
 * The operations of a file system that the blob store needs, as a port, so that tests can let one fail, hang or be the
 * last one before a crash. Errors are Node's own, with their `code`.
 */
import { constants, close, fdatasync, fstat, fsync, ftruncate, open, read, readSync, writev } from 'node:fs'
import { open as openHandle, readdir, rename, stat, statfs, unlink } from 'node:fs/promises'

import type { DiskSpace } from '../blob-store.ts'
import { makeFolder } from '../../../files/make-folder.ts'
import { isSealiftError, SealiftError } from '../../../protocol/errors.ts'

export interface OpenFile {
  /** Reads up to `lengthBytes` into the start of `buffer`; 0 at the end of the file. Synchronous when that is cheap. */
  read(buffer: Uint8Array, lengthBytes: number, position: number): Promise<number> | number
  /** The same for bytes that are certain to be in the page cache, else `null`. Optional. */
  readIfCached?(buffer: Uint8Array, lengthBytes: number, position: number): number | null
  /** Writes `pieces` one after the other; may write less than all of them. @returns bytes written */
  write(pieces: readonly Uint8Array[], position: number): Promise<number>
  truncate(sizeBytes: number): Promise<void>
  size(): Promise<number>
  /** Makes what was written durable, with as much of the metadata as reading it back needs. */
  syncData(): Promise<void>
  /** As `syncData`, with all metadata. */
  sync(): Promise<void>
  close(): Promise<void>
}

export interface FileFacts {
  readonly sizeBytes: number
  /** Wall-clock ms. */
  readonly modifiedAt: number
}

export type Purpose = 'read' | 'write' | 'make'

export interface FileSystem {
  /** `make` creates the file when it is not there; no file is ever truncated. */
  open(path: string, purpose: Purpose): Promise<OpenFile>
  /** With its parents; no error when it is there. */
  makeFolder(path: string): Promise<void>
  /** Makes the names in a folder durable. */
  syncFolder(path: string): Promise<void>
  rename(from: string, to: string): Promise<void>
  remove(path: string): Promise<void>
  stat(path: string): Promise<FileFacts>
  list(path: string): Promise<readonly string[]>
  space(path: string): Promise<DiskSpace>
}

const FILE_MODE = 0o600
const FOLDER_MODE = 0o700

export const nodeFileSystem: FileSystem = {
  open: async (path, purpose) => new NodeFile(await openDescriptor(path, purpose)),
  makeFolder: path => makeFolder(path, FOLDER_MODE),
  async syncFolder(path) {
    await using folder = await openHandle(path, constants.O_RDONLY)
    await folder.sync()
  },
  rename,
  remove: unlink,
  async stat(path) {
    const { size, mtimeMs } = await stat(path)
    return { sizeBytes: size, modifiedAt: mtimeMs }
  },
  list: path => readdir(path),
  async space(path) {
    const { bavail, blocks, bsize } = await statfs(path)
    return { freeBytes: bavail * bsize, totalBytes: blocks * bsize }
  },
}

const FLAGS: Readonly<Record<Purpose, number>> = {
  read: constants.O_RDONLY,
  write: constants.O_RDWR,
  make: constants.O_RDWR | constants.O_CREAT,
}

function openDescriptor(path: string, purpose: Purpose): Promise<number> {
  return new Promise((resolve, reject) => {
    open(path, FLAGS[purpose], FILE_MODE, (error, descriptor) => (error ? reject(error) : resolve(descriptor)))
  })
}

/** A read of at most this size, repeated within this time, finds its bytes in the page cache. */
const SMALL_READ_BYTES = 64 * 1024
const FRESH_MS = 2000

/** A bare descriptor: cheaper than a `FileHandle` where thousands of small reads a second go through it. */
class NodeFile implements OpenFile {
  readonly #descriptor: number
  /** The last small read: where, how much, and when. */
  #position = -1
  #lengthBytes = 0
  #readAtMs = 0

  constructor(descriptor: number) {
    this.#descriptor = descriptor
  }

  read(buffer: Uint8Array, lengthBytes: number, position: number): Promise<number> | number {
    if (lengthBytes > SMALL_READ_BYTES) return this.#readInThreadPool(buffer, lengthBytes, position)
    const read = this.readIfCached(buffer, lengthBytes, position)
    if (read !== null) return read
    this.#position = position
    this.#lengthBytes = lengthBytes
    this.#readAtMs = performance.now()
    return this.#readInThreadPool(buffer, lengthBytes, position)
  }

  readIfCached(buffer: Uint8Array, lengthBytes: number, position: number): number | null {
    if (position !== this.#position || lengthBytes !== this.#lengthBytes) return null
    const now = performance.now()
    if (now - this.#readAtMs >= FRESH_MS) return null
    this.#readAtMs = now
    // Copying from the page cache costs less than a thread switch: a thumbnail that many clients read is read here.
    return readSync(this.#descriptor, buffer, 0, lengthBytes, position)
  }

  #readInThreadPool(buffer: Uint8Array, lengthBytes: number, position: number): Promise<number> {
    return new Promise((resolve, reject) => {
      read(this.#descriptor, buffer, 0, lengthBytes, position, (error, bytes) =>
        error ? reject(error) : resolve(bytes),
      )
    })
  }

  write(pieces: readonly Uint8Array[], position: number): Promise<number> {
    return new Promise((resolve, reject) => {
      writev(this.#descriptor, pieces, position, (error, bytes) => (error ? reject(error) : resolve(bytes)))
    })
  }

  size(): Promise<number> {
    return new Promise((resolve, reject) => {
      fstat(this.#descriptor, (error, { size }) => (error ? reject(error) : resolve(size)))
    })
  }

  truncate(sizeBytes: number): Promise<void> {
    return done(settle => ftruncate(this.#descriptor, sizeBytes, settle))
  }

  syncData(): Promise<void> {
    return done(settle => fdatasync(this.#descriptor, settle))
  }

  sync(): Promise<void> {
    return done(settle => fsync(this.#descriptor, settle))
  }

  close(): Promise<void> {
    return done(settle => close(this.#descriptor, settle))
  }
}

function done(start: (settle: (error: Error | null | undefined) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => start(error => (error ? reject(error) : resolve())))
}

const FULL = new Set(['ENOSPC', 'EDQUOT'])

/** @returns a `SealiftError` with the file system's error as its cause */
export function translateFileError(error: unknown): SealiftError {
  if (isSealiftError(error)) return error
  const code = errorCode(error)
  if (code !== null && FULL.has(code)) {
    return new SealiftError('storage_full', 'The disk that holds the media is full: free some space', { cause: error })
  }
  if (code === 'EFBIG') {
    const message = "The server's file system, or its limit on file sizes (`ulimit -f`), takes no file of this size"
    return new SealiftError('too_large', message, { context: { limit: 'fileBytes' }, cause: error })
  }
  return new SealiftError('unavailable', `The file storage failed (${code ?? 'unknown error'})`, { cause: error })
}

export function isMissing(error: unknown): boolean {
  return errorCode(error) === 'ENOENT'
}

/** Too many open files, in this process or on the machine. */
export function isOutOfDescriptors(error: unknown): boolean {
  const code = errorCode(error)
  return code === 'EMFILE' || code === 'ENFILE'
}

function errorCode(error: unknown): string | null {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : null
}

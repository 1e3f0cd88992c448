import type { FileSystem, OpenFile } from '../../src/server/blobs/file/file-system.ts'

export type FileOperation =
  | 'open'
  | 'read'
  | 'write'
  | 'truncate'
  | 'size'
  | 'syncData'
  | 'sync'
  | 'close'
  | 'makeFolder'
  | 'syncFolder'
  | 'rename'
  | 'remove'
  | 'stat'
  | 'list'
  | 'space'

/** Called before each operation; what it throws is what the operation fails with, and it may hang for ever. */
export type BeforeOperation = (operation: FileOperation, path: string) => Promise<void> | void

/** A file system in which something may happen before every operation. */
export function hookedFileSystem(inner: FileSystem, before: BeforeOperation): FileSystem {
  return {
    async open(path, purpose) {
      await before('open', path)
      return hookedFile(await inner.open(path, purpose), path, before)
    },
    async makeFolder(path) {
      await before('makeFolder', path)
      await inner.makeFolder(path)
    },
    async syncFolder(path) {
      await before('syncFolder', path)
      await inner.syncFolder(path)
    },
    async rename(from, to) {
      await before('rename', from)
      await inner.rename(from, to)
    },
    async remove(path) {
      await before('remove', path)
      await inner.remove(path)
    },
    async stat(path) {
      await before('stat', path)
      return inner.stat(path)
    },
    async list(path) {
      await before('list', path)
      return inner.list(path)
    },
    async space(path) {
      await before('space', path)
      return inner.space(path)
    },
  }
}

function hookedFile(inner: OpenFile, path: string, before: BeforeOperation): OpenFile {
  return {
    async read(buffer, lengthBytes, position) {
      await before('read', path)
      return inner.read(buffer, lengthBytes, position)
    },
    async write(pieces, position) {
      await before('write', path)
      return inner.write(pieces, position)
    },
    async truncate(sizeBytes) {
      await before('truncate', path)
      await inner.truncate(sizeBytes)
    },
    async size() {
      await before('size', path)
      return inner.size()
    },
    async syncData() {
      await before('syncData', path)
      await inner.syncData()
    },
    async sync() {
      await before('sync', path)
      await inner.sync()
    },
    async close() {
      await before('close', path)
      await inner.close()
    },
  }
}

/** An error as the kernel gives it. */
export function kernelError(code: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: made by a test`), { code })
}

/** Lets the first `count` operations through, then nothing ever again: as if the process had been killed there. */
export class Stopper {
  readonly #count: number
  readonly #stopped = Promise.withResolvers<void>()
  passed = 0

  constructor(count: number) {
    this.#count = count
  }

  /** Resolves when it has stopped something. */
  get stopped(): Promise<void> {
    return this.#stopped.promise
  }

  readonly before = async (): Promise<void> => {
    if (this.passed < this.#count) {
      this.passed += 1
      return
    }
    this.#stopped.resolve()
    await new Promise(() => undefined)
  }
}

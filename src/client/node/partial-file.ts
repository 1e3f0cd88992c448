import { constants } from 'node:fs'
import { link, lstat, open, rename, rm, unlink } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { basename, join } from 'node:path'

import { release } from '../release.ts'
import { SealiftError } from '../../protocol/errors.ts'
import type { RandomStore } from '../kept-bytes.ts'
import { systemCode } from '../../files/system-failure.ts'
import { localError, unless } from './local-error.ts'
import { numbered, shortened } from './safe-names.ts'

/** Leaves room in 255 bytes for what is put around it. */
const NAME_BYTES = 190
/** File systems without hard links. */
const NO_LINKS = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK']

/** Where an item is while it is being received: hidden, beside its later place. */
export function partialPath(folder: string, file: string, id: string): string {
  return join(folder, `.${shortened(file, NAME_BYTES)}.${id.slice(0, 12)}.sealift-part`)
}

/** Where a film is kept until its file is put together from it: hidden, beside the file's later place. */
export function filmPath(folder: string, file: string, id: string): string {
  return join(folder, `.${shortened(file, NAME_BYTES)}.${id.slice(0, 12)}.film.sealift-part`)
}

/** Whether a path is one of those two. */
export function isPartialPath(path: string): boolean {
  return /^\..+\.[0-9a-f]{12}(\.film)?\.sealift-part$/.test(basename(path))
}

/** A file that is being received. */
export class PartialFile implements RandomStore {
  readonly path: string
  readonly #handle: FileHandle

  private constructor(path: string, handle: FileHandle) {
    this.path = path
    this.#handle = handle
  }

  /**
   * @param keep goes on with what is in it
   * @param mode of a new file. Default: the user's
   * @throws local_file
   */
  static async open(path: string, keep: boolean, mode = 0o666): Promise<PartialFile> {
    try {
      if (keep) return new PartialFile(path, await open(path, constants.O_RDWR | constants.O_NOFOLLOW))
      const handle = (await create(path, mode)) ?? (await rm(path, { force: true }).then(() => create(path, mode)))
      if (handle) return new PartialFile(path, handle)
      throw new SealiftError('local_file', 'A file cannot be written: another program is writing it')
    } catch (error) {
      throw localError('A file cannot be written', path, error)
    }
  }

  async write(bytes: Uint8Array<ArrayBuffer>, position: number): Promise<void> {
    try {
      for (let done = 0; done < bytes.byteLength;) {
        const { bytesWritten } = await this.#handle.write(bytes, done, bytes.byteLength - done, position + done)
        done += bytesWritten
      }
      release(bytes)
    } catch (error) {
      throw localError('A file cannot be written', this.path, error)
    }
  }

  async read(start: number, end: number): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = new Uint8Array(end - start)
    try {
      for (let done = 0; done < bytes.byteLength;) {
        const { bytesRead } = await this.#handle.read(bytes, done, bytes.byteLength - done, start + done)
        if (bytesRead === 0) throw new SealiftError('local_file', 'A file that is being received was cut')
        done += bytesRead
      }
      return bytes
    } catch (error) {
      throw localError('A file cannot be read', this.path, error)
    }
  }

  /**
   * Closes it, once its bytes are on the disk if `sync`. Returns its inode.
   * @param modifiedAt what it shall say of when it was last changed; a file system may not take every time
   * @throws local_file
   */
  async finish(sync: boolean, modifiedAt: Date | null = null): Promise<string> {
    try {
      if (modifiedAt) await this.#handle.utimes(new Date(), modifiedAt).catch(() => undefined)
      if (sync) await this.#handle.datasync()
      return String((await this.#handle.stat({ bigint: true })).ino)
    } catch (error) {
      throw localError('A file cannot be written', this.path, error)
    } finally {
      await this.close()
    }
  }

  async close(): Promise<void> {
    await this.#handle.close().catch(() => undefined)
  }
}

/** A new file; `null` when there is something of that name. */
function create(path: string, mode: number): Promise<FileHandle | null> {
  const flags = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW
  return unless(open(path, flags, mode), 'EEXIST')
}

/** Whether there is a regular file of our own making, with no other name. */
export async function isPartial(path: string): Promise<boolean> {
  const found = await unless(lstat(path), 'ENOENT')
  return found !== null && found.isFile() && found.nlink === 1
}

/** Whether the file with this inode stands at `path`. */
export async function isThere(path: string, ino: string): Promise<boolean> {
  const found = await unless(lstat(path, { bigint: true }), 'ENOENT', 'ENOTDIR')
  return found !== null && found.isFile() && String(found.ino) === ino
}

export interface Naming {
  readonly partial: string
  readonly folder: string
  readonly file: string
  /** Called with each path before it is tried. */
  readonly announce: (path: string) => Promise<void>
}

/**
 * Gives a finished file its name, or the next free one: in one step that never replaces what is there.
 * @throws local_file
 */
export async function giveName({ partial, folder, file, announce }: Naming): Promise<string> {
  for (let count = 1; ; count += 1) {
    const path = join(folder, numbered(file, count))
    try {
      await announce(path)
      if (!(await linked(partial, path))) continue
      await unlink(partial)
      return path
    } catch (error) {
      throw localError('A file cannot be given its name', path, error)
    }
  }
}

async function linked(partial: string, path: string): Promise<boolean> {
  try {
    await link(partial, path)
    return true
  } catch (error) {
    const code = systemCode(error) ?? ''
    if (code === 'EEXIST') return false
    if (!NO_LINKS.includes(code)) throw error
    return reserved(partial, path)
  }
}

/** Without links: takes the name with an empty file, then puts ours in its place. */
async function reserved(partial: string, path: string): Promise<boolean> {
  const handle = await unless(open(path, 'wx'), 'EEXIST')
  if (!handle) return false
  await handle.close()
  await rename(partial, path)
  // `giveName` unlinks the partial name, which must be there.
  await (await open(partial, 'wx')).close()
  return true
}

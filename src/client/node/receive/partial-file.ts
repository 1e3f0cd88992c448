import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import type { BigIntStats } from 'node:fs'
import { link, lstat, open, rename, rm, unlink } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { basename, join } from 'node:path'

import { release } from '../../bytes/buffers.ts'
import { SealiftError } from '../../../protocol/errors.ts'
import type { RandomStore } from '../../api/source-and-sink.ts'
import { systemCode } from '../../../files/system-failure.ts'
import { localError, unless } from '../files/local-error.ts'
import { numbered } from './safe-names.ts'

const NAME_BYTES = 16
/** File systems without hard links. */
const NO_LINKS = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK']
const EXISTING = constants.O_RDWR | constants.O_NOFOLLOW | constants.O_NONBLOCK
const NEW = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW

/**
 * [Note: partial files]
 * An item is received into a hidden file beside its later place, because only a file of the same file system can be
 * given a name in one step. Nothing about that file is believed for its name: the name is random, so that no link can
 * hold an item of that name, and the journal, in the user's own state directory, says which file it is by device and
 * inode. A file that is not the journal's is neither read nor gone on with.
 *
 * @param kind `film`: what a file is put together from
 */
export function partialPath(folder: string, kind: 'item' | 'film' = 'item'): string {
  const name = randomBytes(NAME_BYTES).toString('hex')
  return join(folder, `.${name}${kind === 'film' ? '.film' : ''}.sealift-part`)
}

/** Whether a path is one that `partialPath` gives. */
export function isPartialPath(path: string): boolean {
  return /^\.[0-9a-f]{32}(\.film)?\.sealift-part$/.test(basename(path))
}

/** Identifies a file on this machine. */
export interface PartialIdentity {
  readonly ino: string
  readonly dev: string
}

/** A file that is being received. See [Note: partial files]. */
export class PartialFile implements RandomStore {
  readonly path: string
  readonly identity: PartialIdentity
  readonly #handle: FileHandle

  private constructor(path: string, handle: FileHandle, found: BigIntStats) {
    this.path = path
    this.#handle = handle
    this.identity = { ino: String(found.ino), dev: String(found.dev) }
  }

  /**
   * A new file.
   * @param mode Default: the user's
   * @throws local_file
   */
  static async create(path: string, mode = 0o666): Promise<PartialFile> {
    try {
      return await PartialFile.#hold(path, await open(path, NEW, mode))
    } catch (error) {
      throw localError('A file cannot be written', path, error)
    }
  }

  /** The file that an earlier process made; `null` unless it is that very file, with no other name. */
  static async reopen(path: string, identity: PartialIdentity): Promise<PartialFile | null> {
    try {
      const file = await PartialFile.#hold(path, await open(path, EXISTING))
      const found = await file.#handle.stat({ bigint: true })
      if (isSame(file.identity, identity) && found.isFile() && found.nlink === 1n) return file
      await file.close()
      return null
    } catch {
      return null
    }
  }

  static async #hold(path: string, handle: FileHandle): Promise<PartialFile> {
    try {
      return new PartialFile(path, handle, await handle.stat({ bigint: true }))
    } catch (error) {
      await handle.close()
      throw error
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
   * Closes it, once its bytes are on the disk if `sync`.
   * @param modifiedAt what it shall say of when it was last changed; a file system may not take every time
   * @throws local_file
   */
  async finish(sync: boolean, modifiedAt: Date | null = null): Promise<void> {
    try {
      if (modifiedAt) await this.#handle.utimes(new Date(), modifiedAt).catch(() => undefined)
      if (sync) await this.#handle.datasync()
    } catch (error) {
      throw localError('A file cannot be written', this.path, error)
    } finally {
      await this.close()
    }
  }

  async close(): Promise<void> {
    await this.#handle.close().catch(() => undefined)
  }

  /** Closes and deletes it. */
  async remove(): Promise<void> {
    await this.close()
    await rm(this.path, { force: true })
  }
}

/** The file that stands at `path`, if it is a regular one; a link is not followed. */
export async function fileAt(path: string): Promise<(PartialIdentity & { readonly bytes: number }) | null> {
  const found = await unless(lstat(path, { bigint: true }), 'ENOENT', 'ENOTDIR')
  return found?.isFile() ? { ino: String(found.ino), dev: String(found.dev), bytes: Number(found.size) } : null
}

function isSame(left: PartialIdentity, right: PartialIdentity): boolean {
  return left.ino === right.ino && left.dev === right.dev
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

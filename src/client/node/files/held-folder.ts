/**
 * [Note: no way through a link] Between the moment a folder is listed and the moment a file of it is read, another user
 * who may write there can put a symbolic link in place of the file, or of a folder above it, and so have any file of
 * the sender's sent. Two checks close that: no component below the folder that a person named is opened through a link
 * (`O_NOFOLLOW`), and the open file is the one that was listed (device and inode).
 *
 * Node has no `openat`. On Linux, `/proc/self/fd/N/name` is the same: the kernel starts at the open folder, whatever
 * its path names meanwhile, so both listing and opening are free of races. Other systems have only paths: after each
 * step the folders above are compared with what they were when they were opened. To defeat that, a folder must be
 * swapped and swapped back in time, twice: while it is listed and while the file is opened.
 */
import { constants, existsSync } from 'node:fs'
import type { BigIntStats } from 'node:fs'
import { lstat, open, readdir, stat } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { join, sep } from 'node:path'

import { systemCode } from '../../../files/system-failure.ts'
import { SealiftError } from '../../../protocol/errors.ts'

/** Identifies a file on this machine. As decimal text, for messages to threads. */
export interface FileIdentity {
  readonly dev: string
  readonly ino: string
}

/** A file met inside a folder: where, and which one it was. Plain data. */
export interface ListedFile {
  /** The folder that a person named; absolute. */
  readonly root: string
  readonly rootIdentity: FileIdentity
  /** The names from there to the file; the file's own last. */
  readonly inside: readonly FileName[]
  readonly identity: FileIdentity
}

/** What stands in a folder. */
export interface FolderEntry {
  readonly name: FileName
  readonly readable: string
  readonly isFile: boolean
  readonly isFolder: boolean
}

/** Where a file is, as the system has it. */
export function realPath({
  path,
  listed,
}: {
  readonly path: string
  readonly listed?: ListedFile | undefined
}): string | Buffer {
  return listed ? joinNames(listed.root, ...listed.inside) : path
}

/** Not blocking: what was a file when it was listed may be a pipe that nothing writes to. */
export const READ_ONLY = constants.O_RDONLY | constants.O_NONBLOCK
const READ_FILE = READ_ONLY | constants.O_NOFOLLOW
const READ_FOLDER = constants.O_RDONLY | constants.O_DIRECTORY
const DESCRIPTORS = '/proc/self/fd'
/** What opening a link without following it ends with, by system. */
const NOT_WHAT_WAS_LISTED = ['ELOOP', 'ENOTDIR', 'EMLINK', 'EISDIR', 'ENXIO']

const hasDescriptorPaths = process.platform === 'linux' && existsSync(DESCRIPTORS)

interface Place {
  readonly path: string
  /** The same, as the system has it. */
  readonly real: string | Buffer
  readonly parent: HeldFolder | null
  readonly byDescriptor: boolean
}

/** A folder that is held open. See [Note: no way through a link]. */
export class HeldFolder implements AsyncDisposable {
  /** As its name was when it was opened; for people. */
  readonly path: string
  readonly identity: FileIdentity
  readonly #handle: FileHandle
  readonly #place: Place

  private constructor(handle: FileHandle, identity: FileIdentity, place: Place) {
    this.#handle = handle
    this.#place = place
    this.path = place.path
    this.identity = identity
  }

  /**
   * A folder named by a person, so a link is followed.
   * @param byDescriptor false: as on a system without `/proc/self/fd`
   */
  static async open(path: string, byDescriptor = hasDescriptorPaths): Promise<HeldFolder> {
    return HeldFolder.#hold(await open(path, READ_FOLDER), { path, real: path, parent: null, byDescriptor })
  }

  /** What is in it. */
  async entries(): Promise<FolderEntry[]> {
    const found = await readdir(this.#here, { withFileTypes: true, encoding: 'buffer' })
    await this.#assertInPlace()
    return found.map(entry => {
      const name = fileNameOf(entry.name)
      return { name, readable: readableName(name), isFile: entry.isFile(), isFolder: entry.isDirectory() }
    })
  }

  /** What stands under `name`; a link is not followed. */
  async look(name: FileName): Promise<BigIntStats> {
    const found = await lstat(joinNames(this.#here, name), { bigint: true })
    await this.#assertInPlace()
    return found
  }

  /** @throws file_changed when it is no folder of this folder any more */
  async folder(name: FileName): Promise<HeldFolder> {
    const handle = await this.#open(name, READ_FOLDER | constants.O_NOFOLLOW)
    const { byDescriptor, real } = this.#place
    const place = { path: this.#pathOf(name), real: joinNames(real, name), parent: this, byDescriptor }
    return HeldFolder.#hold(handle, place)
  }

  /** A file for reading; the caller closes it. @throws file_changed when it is a link by now */
  file(name: FileName): Promise<FileHandle> {
    return this.#open(name, READ_FILE)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#handle.close()
  }

  static async #hold(handle: FileHandle, place: Place): Promise<HeldFolder> {
    try {
      return new HeldFolder(handle, identityOf(await handle.stat({ bigint: true })), place)
    } catch (error) {
      await handle.close()
      throw error
    }
  }

  get #here(): string | Buffer {
    return this.#place.byDescriptor ? `${DESCRIPTORS}/${this.#handle.fd}` : this.#place.real
  }

  #pathOf(name: FileName): string {
    return join(this.path, readableName(name))
  }

  async #open(name: FileName, flags: number): Promise<FileHandle> {
    const handle = await open(joinNames(this.#here, name), flags).catch((error: unknown) => {
      throw NOT_WHAT_WAS_LISTED.includes(systemCode(error) ?? '') ? replaced(this.#pathOf(name)) : error
    })
    try {
      await this.#assertInPlace()
      return handle
    } catch (error) {
      await handle.close()
      throw error
    }
  }

  /** Needed only where the path is what was opened. */
  async #assertInPlace(): Promise<void> {
    const { path, real, parent, byDescriptor } = this.#place
    if (byDescriptor) return
    const found = parent ? await lstat(real, { bigint: true }) : await stat(real, { bigint: true })
    if (!isSame(identityOf(found), this.identity)) throw replaced(path)
    if (parent) await parent.#assertInPlace()
  }
}

/**
 * Opens a file as it was listed; the caller closes it.
 * @throws file_changed when another file, or a link, stands in its place or in that of a folder above it
 */
export async function openListed(listed: ListedFile, byDescriptor = hasDescriptorPaths): Promise<FileHandle> {
  const { root, rootIdentity, inside, identity } = listed
  const path = join(root, ...inside.map(readableName))
  await using folders = new AsyncDisposableStack()
  let folder = folders.use(await HeldFolder.open(root, byDescriptor))
  if (!isSame(folder.identity, rootIdentity)) throw replaced(root)
  for (const name of inside.slice(0, -1)) folder = folders.use(await folder.folder(name))
  const handle = await folder.file(inside.at(-1) ?? '')
  try {
    if (!isSame(identityOf(await handle.stat({ bigint: true })), identity)) throw replaced(path)
    return handle
  } catch (error) {
    await handle.close()
    throw error
  }
}

export function identityOf({ dev, ino }: BigIntStats): FileIdentity {
  return { dev: String(dev), ino: String(ino) }
}

function isSame(left: FileIdentity, right: FileIdentity): boolean {
  return left.dev === right.dev && left.ino === right.ino
}

function replaced(path: string): SealiftError {
  const message = 'Something else stands in the place of a file or folder that was listed'
  return new SealiftError('file_changed', message, { context: { path } })
}

/** The name of a file: text, or the bytes of a name that is not UTF-8. Plain data. */
export type FileName = string | Uint8Array

/**
 * Well-formed UTF-8 sequences (Unicode, table 3-7), each byte as a character; captured: a byte that belongs to none.
 */
const SEQUENCES =
  /[\0-\x7f]|[\xc2-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]{2}|\xed[\x80-\x9f][\x80-\xbf]|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}|\xf4[\x80-\x8f][\x80-\xbf]{2}|([\x80-\xff])/g

export function fileNameOf(bytes: Uint8Array): FileName {
  const text = Buffer.from(bytes).toString('utf8')
  return Buffer.from(text).equals(bytes) ? text : new Uint8Array(bytes)
}

/** A name that people can read: bytes that are no UTF-8 as `%E9`. */
export function readableName(name: FileName): string {
  if (typeof name === 'string') return name
  const readable = Buffer.from(name)
    .toString('latin1')
    .replaceAll(SEQUENCES, (sequence, alone?: string) => (alone === undefined ? sequence : percent(alone)))
  return Buffer.from(readable, 'latin1').toString('utf8')
}

/** A path for the system's calls. */
export function joinNames(folder: string | Buffer, ...names: readonly FileName[]): string | Buffer {
  return names.reduce<string | Buffer>((path, name) => {
    if (typeof path === 'string' && typeof name === 'string')
      return path.endsWith(sep) ? path + name : path + sep + name
    return Buffer.concat([Buffer.from(path), Buffer.from(sep), Buffer.from(name)])
  }, folder)
}

function percent(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase()}`
}

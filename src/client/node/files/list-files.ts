import { lookup } from 'mime-types'
import { stat } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'

import { systemCode } from '../../../files/system-failure.ts'
import { isSealiftError, SealiftError } from '../../../protocol/errors.ts'
import type { CallOptions, SendItem } from '../../api/options.ts'
import { NO_SIGNAL, throwIfAborted } from '../../concurrency/abort.ts'
import { chooseMediaType, HEAD_BYTES, usualName } from '../../media-type.ts'
import { openForReading } from './file-source.ts'
import type { WhereFile } from './file-source.ts'
import { HeldFolder, identityOf, readableName } from './held-folder.ts'
import type { FileIdentity, FileName, FolderEntry, ListedFile } from './held-folder.ts'
import { localError } from './local-error.ts'

/** Files whose beginning is read concurrently. */
const READ_AT_ONCE = 32

/** A file to send. */
export interface FileItem extends Omit<SendItem, 'source'> {
  readonly path: string
  /**
   * The file as `listFiles` found it. With it, another file or a symbolic link at its path, or at that of a folder
   * above it, is refused (`file_changed`).
   */
  readonly listed?: ListedFile
}

/** Options of `listFiles`. */
export interface ListFilesOptions extends CallOptions {
  /** Called with the path of everything inside a folder that is left out. */
  readonly onLeftOut?: (path: string) => void
  /** Called for every file whose name is not UTF-8, and is sent in the form of `name` and `path`. */
  readonly onRenamed?: (item: FileItem) => void
}

/**
 * The files behind paths, in order: a folder stands for everything in it, named `folder/…`. Symbolic links given by
 * name are followed; those inside a folder are left out, as is everything that is no regular file. Types are detected
 * from content and name.
 * @throws local_file when a path is not there, or is neither file nor folder
 */
export async function listFiles(paths: readonly string[], options: ListFilesOptions = {}): Promise<FileItem[]> {
  const found = await findFiles(paths, options)
  const typed: FileItem[] = []
  for (let at = 0; at < found.length; at += READ_AT_ONCE) {
    throwIfAborted(options.signal ?? NO_SIGNAL)
    typed.push(...(await Promise.all(found.slice(at, at + READ_AT_ONCE).map(withType))))
  }
  return typed
}

/** As `listFiles`, without types: opens no file. */
export async function findFiles(paths: readonly string[], options: ListFilesOptions = {}): Promise<FileItem[]> {
  const { signal = NO_SIGNAL, onLeftOut = () => {}, onRenamed = () => {} } = options
  const lists: FileItem[][] = []
  for (const path of paths) lists.push(await filesBehind(path, { signal, onLeftOut, onRenamed }))
  return lists.flat()
}

/** The item with the type of its file, unless it has one. */
export async function withType(item: FileItem): Promise<FileItem> {
  return item.type === undefined ? { ...item, type: await fileMediaType(item) } : item
}

async function filesBehind(path: string, options: Required<ListFilesOptions>): Promise<FileItem[]> {
  const absolute = resolve(path)
  try {
    const found = await stat(absolute)
    if (found.isFile()) return [{ path: absolute, name: basename(absolute) }]
    if (found.isDirectory()) return await filesBelow(absolute, options)
  } catch (error) {
    throw localError('A file to send cannot be read', path, error)
  }
  throw new SealiftError('local_file', 'Only files and folders can be sent', { context: { path } })
}

async function filesBelow(root: string, options: Required<ListFilesOptions>): Promise<FileItem[]> {
  await using folder = await HeldFolder.open(root)
  const items: FileItem[] = []
  const walk: Walk = { ...options, root, rootIdentity: folder.identity, found: item => items.push(item) }
  await filesIn(folder, [], walk)
  return items
}

interface Walk extends Required<ListFilesOptions> {
  readonly root: string
  readonly rootIdentity: FileIdentity
  readonly found: (item: FileItem) => void
}

async function filesIn(folder: HeldFolder, inside: readonly FileName[], walk: Walk): Promise<void> {
  throwIfAborted(walk.signal)
  const entries = await folder.entries()
  for (const entry of entries.sort((a, b) => (a.readable < b.readable ? -1 : 1))) {
    const place = [...inside, entry.name]
    try {
      if (!(await takeEntry(folder, { entry, place }, walk)))
        walk.onLeftOut(join(walk.root, ...place.map(readableName)))
    } catch (error) {
      // It was removed while the folder was read.
      if (systemCode(error) !== 'ENOENT') throw error
    }
  }
}

/** False when it is left out. */
async function takeEntry(
  folder: HeldFolder,
  { entry, place }: { entry: FolderEntry; place: readonly FileName[] },
  walk: Walk,
): Promise<boolean> {
  if (entry.isFolder) {
    const inner = await folder.folder(entry.name).catch(leftOutWhenReplaced)
    if (!inner) return false
    await using _ = inner
    await filesIn(inner, place, walk)
    return true
  }
  const found = entry.isFile ? await folder.look(entry.name) : null
  if (!found?.isFile()) return false
  const { root, rootIdentity } = walk
  const listed = { root, rootIdentity, inside: place, identity: identityOf(found) }
  // The root folder has no name of its own.
  const readable = place.map(readableName)
  const name = [basename(root), ...readable].filter(part => part !== '').join('/')
  const item = { path: join(root, ...readable), name, listed }
  walk.found(item)
  if (place.some(part => typeof part !== 'string')) walk.onRenamed(item)
  return true
}

function leftOutWhenReplaced(error: unknown): null {
  if (isSealiftError(error, 'file_changed')) return null
  throw error
}

/** The media type of a file's extension; only a hint. */
export function mediaType(name: string): string {
  return typeByName(name) ?? 'application/octet-stream'
}

/**
 * The media type of a file, by its content and its name.
 * @param file where it is; `name` is what it is sent as, by default as the file is named
 * @returns what the name stands for when the file cannot be read, or is not the one that was listed
 */
export async function fileMediaType(file: WhereFile & { readonly name?: string }): Promise<string> {
  const { name = basename(file.path) } = file
  const head = await readHead(file).catch(() => null)
  return head === null ? mediaType(name) : chooseMediaType(head, typeByName(name))
}

/** The media type of what begins with `head`, sent as `name`. */
export function contentMediaType(head: Uint8Array, name: string): Promise<string> {
  return chooseMediaType(head, typeByName(name))
}

function typeByName(name: string): string | null {
  // Without a dot, `lookup` takes the whole name for an ending.
  const known = basename(name).includes('.') && lookup(name)
  return known === false ? null : usualName(known)
}

async function readHead(where: WhereFile): Promise<Uint8Array> {
  await using file = await openForReading(where)
  const { buffer, bytesRead } = await file.read({ buffer: new Uint8Array(HEAD_BYTES), position: 0 })
  return buffer.subarray(0, bytesRead)
}

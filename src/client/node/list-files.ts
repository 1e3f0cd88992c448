import { readdir, stat } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'

import { SealiftError } from '../../protocol/errors.ts'
import { NO_SIGNAL, throwIfAborted } from '../abort.ts'
import type { CallOptions, SendItem } from '../options.ts'
import { localError } from './local-error.ts'
import { fileMediaType } from './media-type.ts'

/** Files whose beginning is read at once. */
const LOOKED_AT_ONCE = 32

/** A file to send. */
export interface FileItem extends Omit<SendItem, 'source'> {
  readonly path: string
}

/** Options of `listFiles`. */
export interface ListFilesOptions extends CallOptions {
  /** Told the path of everything inside a folder that is left out. */
  readonly onLeftOut?: (path: string) => void
}

/**
 * The files behind paths, in order: a folder stands for everything in it, named `folder/…`. Symbolic links given by
 * name are followed; those met inside a folder are left out, as is everything that is no regular file. Types are told
 * by content and name.
 * @throws local_file when a path is not there, or is neither file nor folder
 */
export async function listFiles(paths: readonly string[], options: ListFilesOptions = {}): Promise<FileItem[]> {
  const found = await findFiles(paths, options)
  const typed: FileItem[] = []
  for (let at = 0; at < found.length; at += LOOKED_AT_ONCE) {
    throwIfAborted(options.signal ?? NO_SIGNAL)
    typed.push(...(await Promise.all(found.slice(at, at + LOOKED_AT_ONCE).map(withType))))
  }
  return typed
}

/** As `listFiles`, without types: opens no file. */
export async function findFiles(paths: readonly string[], options: ListFilesOptions = {}): Promise<FileItem[]> {
  const { signal = NO_SIGNAL, onLeftOut = () => {} } = options
  const lists: FileItem[][] = []
  for (const path of paths) lists.push(await filesBehind(path, { signal, onLeftOut }))
  return lists.flat()
}

/** The item with the type of its file, unless it has one. */
export async function withType(item: FileItem): Promise<FileItem> {
  return item.type === undefined ? { ...item, type: await fileMediaType(item.path, item.name) } : item
}

async function filesBehind(path: string, options: Required<ListFilesOptions>): Promise<FileItem[]> {
  const absolute = resolve(path)
  try {
    const found = await stat(absolute)
    if (found.isFile()) return [{ path: absolute, name: basename(absolute) }]
    if (found.isDirectory()) return await filesIn(absolute, basename(absolute), options)
  } catch (error) {
    throw localError('A file to send cannot be read', path, error)
  }
  throw new SealiftError('local_file', 'Only files and folders can be sent', { context: { path } })
}

async function filesIn(folder: string, name: string, options: Required<ListFilesOptions>): Promise<FileItem[]> {
  throwIfAborted(options.signal)
  const entries = await readdir(folder, { withFileTypes: true })
  const lists: FileItem[][] = []
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = join(folder, entry.name)
    // The root folder has no name of its own.
    const inside = name === '' ? entry.name : `${name}/${entry.name}`
    if (entry.isDirectory()) lists.push(await filesIn(path, inside, options))
    else if (entry.isFile()) lists.push([{ path, name: inside }])
    else options.onLeftOut(path)
  }
  return lists.flat()
}

import { dirname, join } from 'node:path'

import { type FileSystem, isMissing, translateFileError, type FileFacts } from './file-system.ts'
import { SealiftError } from '../../../protocol/errors.ts'
import { isId } from '../../../protocol/ids.ts'
import type { BlobId, StoredBlob } from '../blob-store.ts'

/** Makes each folder once and durable: a name is safe only when the folder that holds it is synced. */
export class Folders {
  readonly #files: FileSystem
  readonly #made = new Map<string, Promise<void>>()

  constructor(files: FileSystem) {
    this.#files = files
  }

  ensure(path: string): Promise<void> {
    const known = this.#made.get(path)
    if (known) return known
    const made = this.#make(path)
    this.#made.set(path, made)
    return made
  }

  /** After something in it turned out to be missing: it may have been removed behind our back. */
  forget(path: string): void {
    this.#made.delete(path)
  }

  /**
   * Makes the names of all folders above durable, up to the root: any of them may have been made a moment ago. Those
   * that this process may not open are not of its making.
   */
  async syncAncestors(path: string): Promise<void> {
    for (let folder = dirname(path); ; folder = dirname(folder)) {
      await this.#files.syncFolder(folder).catch(() => undefined)
      if (folder === dirname(folder)) return
    }
  }

  async #make(path: string): Promise<void> {
    try {
      await this.#files.makeFolder(path)
    } catch (error) {
      this.forget(path)
      throw error
    }
    // When this fails it stays failed: a second sync would claim what the first one has lost.
    await this.#files.syncFolder(dirname(path))
  }
}

/** Blobs that take parts, and blobs that never change again. */
export type Stage = 'uploads' | 'media'
export const STAGES = ['uploads', 'media'] as const

const SHARD_LENGTH = 2

/** Where the files of blobs are: `<directory>/<stage>/<first two letters>/<blob id>`. */
export class BlobPaths {
  readonly directory: string

  constructor(directory: string) {
    this.directory = directory
  }

  /** Nothing but an id ever becomes part of a path. */
  file(stage: Stage, blobId: BlobId): string {
    if (!isId(blobId)) throw new SealiftError('internal', 'A blob id has the wrong shape')
    return join(this.directory, stage, blobId.slice(0, SHARD_LENGTH), blobId)
  }

  stage(stage: Stage): string {
    return join(this.directory, stage)
  }

  folderOf(path: string): string {
    return dirname(path)
  }
}

/** Walks the shards one after the other; a file that vanishes meanwhile is left out. */
export async function* listBlobs(files: FileSystem, paths: BlobPaths, signal: AbortSignal): AsyncGenerator<StoredBlob> {
  for (const stage of STAGES) {
    for (const shard of await namesIn(files, paths.stage(stage))) {
      for (const name of await namesIn(files, join(paths.stage(stage), shard))) {
        signal.throwIfAborted()
        const blob = isId(name) && name.startsWith(shard) ? await factsOf(files, paths, stage, name) : null
        if (blob) yield blob
      }
    }
  }
}

export async function statBlob(files: FileSystem, paths: BlobPaths, blobId: string): Promise<StoredBlob | null> {
  return (await factsOf(files, paths, 'media', blobId)) ?? factsOf(files, paths, 'uploads', blobId)
}

// oxlint-disable-next-line eslint/max-params -- where to look, and for what
async function factsOf(files: FileSystem, paths: BlobPaths, stage: Stage, blobId: string): Promise<StoredBlob | null> {
  const facts = await orNull<FileFacts>(files.stat(paths.file(stage, blobId)))
  return facts && { blobId, complete: stage === 'media', ...facts }
}

async function namesIn(files: FileSystem, folder: string): Promise<readonly string[]> {
  return (await orNull(files.list(folder))) ?? []
}

async function orNull<T>(asked: Promise<T>): Promise<T | null> {
  try {
    return await asked
  } catch (error) {
    if (isMissing(error) || isNoFolder(error)) return null
    throw translateFileError(error)
  }
}

function isNoFolder(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOTDIR'
}

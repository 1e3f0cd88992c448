/** Where the files of blobs are, how their folders become durable, and how both are listed. */
import { dirname, join } from 'node:path'

import { SealiftError } from '../../../protocol/errors.ts'
import { isId } from '../../../protocol/ids.ts'
import type { BlobId, StoredBlob } from '../blob-store.ts'
import { isMissing, translateFileError, type FileFacts, type FileSystem } from './file-system.ts'

/** Blobs that receive parts, and blobs that never change again. */
export type Stage = 'uploads' | 'media'

export const STAGES = ['uploads', 'media'] as const

const SHARD_LENGTH = 2

/** A blob's file is `<directory>/<stage>/<first two letters>/<blob id>`. */
export class BlobPaths {
  readonly directory: string

  constructor(directory: string) {
    this.directory = directory
  }

  /** Only an id ever becomes part of a path. */
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

/** Makes each folder once, durably: the name of a file is safe only when the folder that holds it is synced. */
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

  /** When something in it is missing: another program may have removed the folder. */
  forget(path: string): void {
    this.#made.delete(path)
  }

  /**
   * Makes the names of all folders above durable, up to the root: any of them may be new. Those that this process may
   * not open are not its own.
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
    // A failure is remembered: a second sync would report success for what the first one lost.
    await this.#files.syncFolder(dirname(path))
  }
}

/** Lists the shards one after the other; a file that vanishes meanwhile is left out. */
export async function* listBlobs(files: FileSystem, paths: BlobPaths, signal: AbortSignal): AsyncGenerator<StoredBlob> {
  for (const stage of STAGES) {
    for (const shard of await namesIn(files, paths.stage(stage))) {
      for (const name of await namesIn(files, join(paths.stage(stage), shard))) {
        signal.throwIfAborted()
        const blob = isId(name) && name.startsWith(shard) ? await statIn(files, paths, { stage, blobId: name }) : null
        if (blob) yield blob
      }
    }
  }
}

export async function statBlob(files: FileSystem, paths: BlobPaths, blobId: BlobId): Promise<StoredBlob | null> {
  return (await statIn(files, paths, { stage: 'media', blobId })) ?? statIn(files, paths, { stage: 'uploads', blobId })
}

async function statIn(
  files: FileSystem,
  paths: BlobPaths,
  { stage, blobId }: { readonly stage: Stage; readonly blobId: BlobId },
): Promise<StoredBlob | null> {
  const facts = await orNull<FileFacts>(files.stat(paths.file(stage, blobId)))
  return facts && { blobId, complete: stage === 'media', ...facts }
}

async function namesIn(files: FileSystem, folder: string): Promise<readonly string[]> {
  return (await orNull(files.list(folder))) ?? []
}

async function orNull<T>(lookup: Promise<T>): Promise<T | null> {
  try {
    return await lookup
  } catch (error) {
    if (isMissing(error) || isNoFolder(error)) return null
    throw translateFileError(error)
  }
}

function isNoFolder(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOTDIR'
}

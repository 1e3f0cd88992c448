import { join } from 'node:path'

import { isId } from '../../../protocol/ids.ts'
import { type BlobPaths, type Stage, STAGES } from './blob-paths.ts'
import type { StoredBlob } from '../blob-store.ts'
import { isMissing, translateFileError } from './file-errors.ts'
import type { FileFacts, FileSystem } from './file-system.ts'

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

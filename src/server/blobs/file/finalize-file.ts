import { SealiftError } from '../../../protocol/errors.ts'
import type { BlobPaths, Folders } from './disk-layout.ts'
import type { BlobId } from '../blob-store.ts'
import { isMissing, translateFileError, type FileSystem, type OpenFile } from './file-system.ts'

export interface Finalizing {
  readonly files: FileSystem
  readonly folders: Folders
  readonly paths: BlobPaths
  /** Called when a sync fails: it must not be repeated, since the kernel would report the next one as a success. */
  readonly poison: (blobId: BlobId, error: SealiftError) => void
}

/**
 * Moves a blob's file from `uploads` to `media`, durably. May be repeated at any point, also after a crash in between:
 * a file that is already in `media` only has its name synced again. @throws damaged
 */
export async function finalizeFile(finalizing: Finalizing, blobId: BlobId, sizeBytes: number): Promise<void> {
  const { files, folders, paths } = finalizing
  const to = paths.file('media', blobId)
  const folder = paths.folderOf(to)
  await folders.ensure(folder)
  const moved =
    (await settleSize(finalizing, blobId, sizeBytes)) && (await renamed(files, paths.file('uploads', blobId), to))
  if (!moved) await assertInPlace(files, to, sizeBytes)
  await syncOnce(finalizing, blobId, () => files.syncFolder(folder))
}

/** Cuts off what lies past the end and syncs the file. @returns false when there is no such file */
async function settleSize(finalizing: Finalizing, blobId: BlobId, sizeBytes: number): Promise<boolean> {
  const file = await openIfThere(finalizing.files, finalizing.paths.file('uploads', blobId))
  if (!file) return false
  try {
    const storedBytes = await file.size()
    if (storedBytes < sizeBytes) throw wrongSize(storedBytes, sizeBytes)
    if (storedBytes > sizeBytes) await file.truncate(sizeBytes)
    await syncOnce(finalizing, blobId, () => file.sync())
    return true
  } finally {
    await file.close()
  }
}

async function syncOnce({ poison }: Finalizing, blobId: BlobId, sync: () => Promise<void>): Promise<void> {
  try {
    await sync()
  } catch (error) {
    const failure = translateFileError(error)
    poison(blobId, failure)
    throw failure
  }
}

async function openIfThere(files: FileSystem, path: string): Promise<OpenFile | null> {
  try {
    return await files.open(path, 'write')
  } catch (error) {
    if (isMissing(error)) return null
    throw error
  }
}

async function renamed(files: FileSystem, from: string, to: string): Promise<boolean> {
  try {
    await files.rename(from, to)
    return true
  } catch (error) {
    if (isMissing(error)) return false
    throw error
  }
}

/** @throws damaged */
async function assertInPlace(files: FileSystem, path: string, sizeBytes: number): Promise<void> {
  try {
    const storedBytes = (await files.stat(path)).sizeBytes
    if (storedBytes !== sizeBytes) throw wrongSize(storedBytes, sizeBytes)
  } catch (error) {
    if (!isMissing(error)) throw error
    throw new SealiftError('damaged', 'The stored bytes are missing: run `sealift fsck`', { cause: error })
  }
}

function wrongSize(storedBytes: number, sizeBytes: number): SealiftError {
  return new SealiftError('damaged', `The store holds ${storedBytes} bytes where ${sizeBytes} must be`)
}

import { dirname, join } from 'node:path'

import { SealiftError } from '../../../protocol/errors.ts'
import { isId } from '../../../protocol/ids.ts'
import type { BlobId } from '../blob-store.ts'

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

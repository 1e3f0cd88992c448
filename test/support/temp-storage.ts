import { rm, truncate, utimes } from 'node:fs/promises'
import { join } from 'node:path'

import type { RecordStore } from '../../src/server/index.ts'
import { type FileBlobStore, openFileBlobStore } from '../../src/server/blobs/file/blob-store.ts'
import { createKyselyRecordStore } from '../../src/server/records/queries/kysely-record-store.ts'
import type { MediaRecord, UploadRecord } from '../../src/server/records/record-types.ts'
import { openSqliteDatabase } from '../../src/server/records/sqlite/database.ts'
import { piecesOf, steady } from './blob-bytes.ts'
import { bytesFor } from './random.ts'
import { newUpload, NOW, PLENTY, putParts, type UploadOptions } from './record-fixtures.ts'
import { tempDirectory } from './temp-directory.ts'

/** Files and records in a folder of their own, and ways to damage them. */
export interface TempStorage extends AsyncDisposable {
  readonly directory: string
  readonly blobs: FileBlobStore
  readonly records: RecordStore
  storeMedia(sizeBytes: number, options?: UploadOptions): Promise<MediaRecord>
  /** An unfinished upload with these parts, durable in both stores. */
  storeParts(sizes: Readonly<Record<number, number>>, options?: UploadOptions): Promise<UploadRecord>
  fileOf(blobId: string, stage?: 'uploads' | 'media'): string
  removeFile(blobId: string): Promise<void>
  cutFile(blobId: string, sizeBytes: number): Promise<void>
  /** Makes a file look as if it was last changed then. */
  ageFile(blobId: string, modifiedAt: number, stage?: 'uploads' | 'media'): Promise<void>
}

export async function tempStorage(): Promise<TempStorage> {
  const directory = await tempDirectory()
  const file = join(directory.path, 'records.db')
  const records = createKyselyRecordStore(openSqliteDatabase({ file, busyTimeoutMs: 5000, cacheBytes: 2 ** 20 }))
  await records.migrate()
  const blobs = await openFileBlobStore({ directory: join(directory.path, 'blobs') })
  const fileOf = (blobId: string, stage: 'uploads' | 'media' = 'media') =>
    join(directory.path, 'blobs', stage, blobId.slice(0, 2), blobId)
  return {
    directory: directory.path,
    blobs,
    records,
    async storeMedia(sizeBytes, options) {
      const upload = await records.beginUpload(newUpload({ declaredBytes: sizeBytes, partBytes: 2 ** 20, ...options }))
      const bytes = bytesFor(upload.blobId, sizeBytes)
      await blobs.putPart({ ...upload, index: 0, sizeBytes }, piecesOf(bytes), steady())
      await blobs.complete(upload, sizeBytes)
      return records.finishInOneStep(upload.uploadId, { sizeBytes, caps: PLENTY, now: NOW })
    },
    async storeParts(sizes, options) {
      const upload = await records.beginUpload(newUpload(options))
      for (const [index, sizeBytes] of Object.entries(sizes)) {
        const bytes = bytesFor(`${upload.blobId} ${index}`, sizeBytes)
        await blobs.putPart({ ...upload, index: Number(index), sizeBytes }, piecesOf(bytes), steady())
      }
      await putParts(records, upload, sizes)
      return upload
    },
    fileOf,
    removeFile: blobId => rm(fileOf(blobId)),
    cutFile: (blobId, sizeBytes) => truncate(fileOf(blobId), sizeBytes),
    ageFile: (blobId, modifiedAt, stage) => utimes(fileOf(blobId, stage), modifiedAt / 1000, modifiedAt / 1000),
    async [Symbol.asyncDispose]() {
      await blobs[Symbol.asyncDispose]()
      await records[Symbol.asyncDispose]()
      await directory[Symbol.asyncDispose]()
    },
  }
}

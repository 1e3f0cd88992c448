/** Opens the stores that the configuration names. */
import { mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'

import type { BlobStore, ChecksBlobs, LocatesFiles, MeasuresSpace, Presigns } from './blobs/blob-store.ts'
import { openFileBlobStore } from './blobs/file-blob-store.ts'
import type { ServerConfig } from './config/schema.ts'
import { openFileLimit } from './open-file-limit.ts'
import type { RecordStore } from './records/record-store.ts'
import { openSpaceReserve, withSpaceReserve } from './records/space-reserve.ts'
import { openSqliteRecordStore } from './records/sqlite.ts'

/** A store of bytes, with what else it may be able to do. */
export type AnyBlobStore = BlobStore & Partial<MeasuresSpace & ChecksBlobs & LocatesFiles & Presigns>

export interface Stores {
  readonly blobs: AnyBlobStore
  readonly records: RecordStore
}

/** @throws unavailable, storage_full; the caller disposes `resources` */
export async function openStores(config: ServerConfig, resources: AsyncDisposableStack): Promise<Stores> {
  const records = await openRecords(config, resources)
  const blobs = await openBlobs(config, resources)
  return { blobs, records }
}

async function openBlobs({ storage }: ServerConfig, resources: AsyncDisposableStack): Promise<AnyBlobStore> {
  return resources.use(await openFileBlobStore({ directory: storage.directory, openFiles: openFileLimit() }))
}

async function openRecords({ records }: ServerConfig, resources: AsyncDisposableStack): Promise<RecordStore> {
  await mkdir(dirname(records.file), { recursive: true })
  const reserve = resources.use(await openSpaceReserve(`${records.file}.reserve`))
  return withSpaceReserve(resources.use(await openSqliteRecordStore({ file: records.file })), reserve)
}

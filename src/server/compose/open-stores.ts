/** Opens the stores that the configuration names; the libraries of the others are not even loaded. */
import { dirname } from 'node:path'

import { makeFolder } from '../../files/make-folder.ts'
import { SealiftError } from '../../protocol/errors.ts'
import type { BlobStore, ChecksBlobs, GrantsDirectAccess, LocatesFiles, MeasuresSpace } from '../blobs/blob-store.ts'
import { openFileBlobStore } from '../blobs/file/blob-store.ts'
import type { S3Config, ServerConfig } from '../config/schema.ts'
import { socketsFor } from './s3-max-connections.ts'
import { openFileLimit } from './open-file-limit.ts'
import type { MarksChanges, MeasuresRecordSpace, RecordStore } from '../records/record-store.ts'
import { openSpaceReserve, withSpaceReserve } from '../records/sqlite/space-reserve.ts'
import { openSqliteRecordStore } from '../records/sqlite/index.ts'

/** A store of bytes, with what else it may be able to do. */
export type AnyBlobStore = BlobStore & Partial<MeasuresSpace & ChecksBlobs & LocatesFiles & GrantsDirectAccess>

export interface Stores {
  readonly blobs: AnyBlobStore
  readonly records: RecordStore & Partial<MarksChanges & MeasuresRecordSpace>
}

export interface OpenStores {
  /** Whether a piece of the disk is set aside for the records: by a server, not by who only looks. */
  readonly reserve?: boolean
}

/** @throws unavailable, storage_full, naming the setting that is wrong; the caller disposes `resources` */
export async function openStores(
  config: ServerConfig,
  resources: AsyncDisposableStack,
  { reserve = true }: OpenStores = {},
): Promise<Stores> {
  const records = await openRecords(config, resources, reserve)
  const blobs = await openBlobs(config, resources)
  return { blobs, records }
}

/** True when no other process changes the records: then what was read from them may be remembered for a moment. */
export function isOnlyProcess({ records, workers }: ServerConfig): boolean {
  return records.kind === 'sqlite' && workers === 1
}

async function openBlobs({ storage, tiers }: ServerConfig, resources: AsyncDisposableStack): Promise<AnyBlobStore> {
  if (storage.kind === 'files') {
    return resources.use(await openFileBlobStore({ directory: storage.directory, openFiles: openFileLimit() }))
  }
  const { openS3BlobStore } = await import('../blobs/s3/blob-store.ts')
  const s3 = required(storage.s3, 'storage.s3')
  return resources.use(openS3BlobStore({ ...s3Options(s3), maxSockets: s3.maxSockets ?? socketsFor(tiers) }))
}

/** The connection as the S3 adapters take it. */
export function s3Options({ memory, publicEndpoint, maxSockets, ...connection }: S3Config) {
  return {
    ...connection,
    memoryBytes: memory,
    ...(publicEndpoint === null ? {} : { publicEndpoint }),
    ...(maxSockets === null ? {} : { maxSockets }),
  }
}

async function openRecords(
  { records }: ServerConfig,
  resources: AsyncDisposableStack,
  reserved: boolean,
): Promise<Stores['records']> {
  if (records.kind === 'postgres') {
    const { openPostgresRecordStore } = await import('../records/postgres/index.ts')
    return resources.use(await openPostgresRecordStore(required(records.postgres, 'records.postgres')))
  }
  if (!reserved) return resources.use(await openSqliteRecordStore({ file: records.file }))
  await makeFolder(dirname(records.file))
  const reserve = resources.use(await openSpaceReserve(`${records.file}.reserve`))
  return withSpaceReserve(resources.use(await openSqliteRecordStore({ file: records.file })), reserve)
}

/** The configuration is checked for it; this is for the compiler. */
function required<T>(section: T | null, key: string): T {
  if (section === null) throw new SealiftError('internal', `The configuration lacks ${key}`)
  return section
}

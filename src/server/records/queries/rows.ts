/** How rows become records, and the most frequent queries. */
import type { Selectable } from 'kysely'

import type { Db } from './transactions.ts'
import { downloadsLeft, hasOnlyOwnCount } from './download-counts.ts'
import type { MediaRecord, ParcelRecord, PartRecord, UploadRecord } from '../record-types.ts'
import type { BlobsTable, BlobState, ParcelsTable, PartsTable, UploadsTable } from '../schema.ts'

export type UploadRow = Selectable<UploadsTable> &
  Pick<
    Selectable<BlobsTable>,
    'part_bytes' | 'state' | 'declared_bytes' | 'size_bytes' | 'deleted_at' | 'addresses_until'
  >

export interface MediaRow {
  media_id: string
  client_id: string
  owner_hash: string | null
  created_at: number
  expires_at: number
  max_downloads: number | null
  downloads_left: number | null
  ended_at: number | null
  counter_id: string | null
  above_id: string | null
  source_id: string | null
  blob_id: string
  part_bytes: number
  state: BlobState
  size_bytes: number | null
  declared_bytes: number | null
}

/**
 * An upload with columns of its blob. Selected column by column instead of by a join: SQLite plans a join again for
 * each bound value, which costs ten times as much as reading the row.
 */
export function selectUpload(db: Db, uploadId: string) {
  return db
    .selectFrom('uploads')
    .selectAll()
    .select(eb => {
      const blob = eb.selectFrom('blobs').whereRef('blobs.blob_id', '=', 'uploads.blob_id')
      return [
        blob.select('part_bytes').$asScalar().$notNull().as('part_bytes'),
        blob.select('state').$asScalar().$notNull().as('state'),
        blob.select('declared_bytes').$asScalar().as('declared_bytes'),
        blob.select('size_bytes').$asScalar().as('size_bytes'),
        blob.select('deleted_at').$asScalar().as('deleted_at'),
        blob.select('addresses_until').$asScalar().as('addresses_until'),
      ]
    })
    .where('upload_id', '=', uploadId)
}

/** A lease with columns of its blob, selected like those of an upload. */
export function selectMedia(db: Db, mediaId: string) {
  return db
    .selectFrom('leases')
    .selectAll()
    .select(eb => {
      const blob = eb.selectFrom('blobs').whereRef('blobs.blob_id', '=', 'leases.blob_id')
      return [
        blob.select('part_bytes').$asScalar().$notNull().as('part_bytes'),
        blob.select('state').$asScalar().$notNull().as('state'),
        blob.select('declared_bytes').$asScalar().as('declared_bytes'),
        blob.select('size_bytes').$asScalar().as('size_bytes'),
      ]
    })
    .where('media_id', '=', mediaId)
}

export async function findMedia(db: Db, mediaId: string): Promise<MediaRecord | null> {
  const row = await selectMedia(db, mediaId).executeTakeFirst()
  return row ? mediaFromRow(db, row) : null
}

/** A forward may take its downloads from the counts of other leases: then these are read as well. */
export async function mediaFromRow(db: Db, row: MediaRow): Promise<MediaRecord> {
  if (hasOnlyOwnCount(row)) return toMedia(row)
  return toMedia({ ...row, downloads_left: await downloadsLeft(db, row) })
}

export function toUpload(row: UploadRow): UploadRecord {
  return {
    uploadId: row.upload_id,
    blobId: row.blob_id,
    mediaId: row.media_id,
    clientId: row.client_id,
    ownerHash: row.owner_hash,
    partBytes: row.part_bytes,
    declaredBytes: row.declared_bytes,
    state: row.state !== 'complete' && row.deleted_at !== null ? 'aborted' : row.state,
    sizeBytes: row.size_bytes,
    expiresAt: row.expires_at,
    maxBytes: row.max_bytes,
    presignedUntil: row.addresses_until,
  }
}

function toMedia(row: MediaRow): MediaRecord {
  return {
    mediaId: row.media_id,
    clientId: row.client_id,
    ownerHash: row.owner_hash,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    maxDownloads: row.max_downloads,
    downloadsUsed: Math.max(0, (row.max_downloads ?? 0) - (row.downloads_left ?? 0)),
    sourceId: row.source_id,
    endedAt: row.ended_at,
    blobId: row.blob_id,
    partBytes: row.part_bytes,
    state: row.state === 'complete' ? 'complete' : 'uploading',
    sizeBytes: row.size_bytes ?? row.declared_bytes,
  }
}

export function toPart(row: Selectable<PartsTable>): PartRecord {
  return { index: row.part_index, sizeBytes: row.size_bytes, durable: row.durable === 1 }
}

/** A parcel without its manifest. */
export function toParcel(row: Selectable<ParcelsTable>): ParcelRecord {
  return {
    parcelId: row.parcel_id,
    clientId: row.client_id,
    ownerHash: row.owner_hash,
    version: row.version,
    manifestBytes: row.manifest_bytes,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    endedAt: row.ended_at,
  }
}

/**
 * The tables, as Kysely sees them. Only types that SQLite and PostgreSQL share: text, bigint (a JavaScript number:
 * every count here stays below 2^53; the PostgreSQL driver must parse int8 as a number) and bytes. Times
 * are ms since the epoch, booleans are 0 and 1.
 */
export interface Schema {
  blobs: BlobsTable
  uploads: UploadsTable
  parts: PartsTable
  leases: LeasesTable
  grants: GrantsTable
  parcels: ParcelsTable
  manifests: ManifestsTable
  parcel_media: ParcelMediaTable
  client_usage: ClientUsageTable
  devices: DevicesTable
  idempotency: IdempotencyTable
  probes: ProbesTable
  named_leases: NamedLeasesTable
}

export type BlobState = 'uploading' | 'completing' | 'complete'

/** Stored bytes. The state of an upload is here, once: it is aborted when its blob was deleted before completion. */
export interface BlobsTable {
  blob_id: string
  part_bytes: number
  state: BlobState
  declared_bytes: number | null
  /** Fixed when the upload is finalized. */
  size_bytes: number | null
  /** How many parts from the start are durable without a gap, and their bytes: what a follower can read. */
  prefix_parts: number
  prefix_bytes: number
  /** One past the highest durable part. */
  end_parts: number
  /** The durable part that is shorter than `part_bytes`, and so must be the last. */
  short_part: number | null
  created_at: number
  /** Tombstone: no lease holds the blob, and its bytes must be deleted. Moved later when the deletion fails. */
  deleted_at: number | null
  /** The bytes are deleted; the row stays while ended leases refer to it. */
  purged_at: number | null
  /** When the last presigned URL of a part expires; `null` if none was issued. */
  addresses_until: number | null
}

export interface UploadsTable {
  upload_id: string
  blob_id: string
  media_id: string
  client_id: string
  owner_hash: string | null
  /**
   * The share of this upload in its client's `reserved_bytes`; once finished, in its `stored_bytes`, for bytes that
   * presigned URLs may still bring ([Note: presigned charges] in presigned-charges.ts).
   */
  reserved_bytes: number
  max_bytes: number
  expires_at: number
  /** Completed or aborted. */
  finished_at: number | null
}

/** Only while uploading: a complete blob's parts follow from its size. */
export interface PartsTable {
  blob_id: string
  part_index: number
  size_bytes: number
  durable: number
}

export interface LeasesTable {
  media_id: string
  blob_id: string
  client_id: string
  owner_hash: string | null
  created_at: number
  expires_at: number
  max_downloads: number | null
  /** Downloads left in this lease's own count; `null` without one. */
  downloads_left: number | null
  ended_at: number | null
  /** The lease whose count a download takes from: this lease, or a source of it. `null`: not counted. */
  counter_id: string | null
  /** For a lease with its own count: the next count above, which a download takes from as well. */
  above_id: string | null
  /** The counted lease that this lease was forwarded from, and ends with. */
  source_id: string | null
}

/** Downloads that have begun, one row per count that they were taken from. */
export interface GrantsTable {
  /** The lease with the count. */
  media_id: string
  grant_id: string
  expires_at: number
}

export interface ParcelsTable {
  parcel_id: string
  client_id: string
  owner_hash: string | null
  version: number
  /** Size of the manifest of this version; 0 once the parcel has ended. */
  manifest_bytes: number
  /** Media items that it covers: rows of `parcel_media`. */
  media_count: number
  created_at: number
  expires_at: number
  ended_at: number | null
}

/** The sealed manifest of each live parcel. It may have megabytes, so queries of the parcel do not read it. */
export interface ManifestsTable {
  parcel_id: string
  version: number
  bytes: Uint8Array
}

export interface ParcelMediaTable {
  parcel_id: string
  media_id: string
}

/** The quota usage of a client. Its row is also the lock under which the quota is checked. */
export interface ClientUsageTable {
  client_id: string
  stored_bytes: number
  reserved_bytes: number
  pending_uploads: number
  /** Rows charged to this client ([Note: stored rows] in quota-usage.ts). */
  stored_rows: number
  /** 1 while nothing is charged. A column of its own, so that its index seldom changes. */
  idle: number
}

export interface DevicesTable {
  client_id: string
  device_id: string
  seen_at: number
}

export interface IdempotencyTable {
  client_id: string
  key: string
  fingerprint: string
  /** The id that the first request created. */
  made_id: string
  expires_at: number
}

/** A few rows, rewritten by probes: proof that the database can commit. */
export interface ProbesTable {
  id: number
  count: number
}

/** Locks for work that one node does at a time. Times are of the database's clock. */
export interface NamedLeasesTable {
  name: string
  holder: string
  /** Grows with each new holder. */
  fence: number
  expires_at: number
}

/**
 * The tables, as Kysely sees them. Only types that SQLite and PostgreSQL share: text, bigint (a JavaScript number: every
 * count here stays below 2^53; the PostgreSQL driver must be told to parse int8 as a number) and bytes. Times are ms
 * since the epoch, truths are 0 and 1.
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

/** Stored bytes. The life of an upload is told here, once: an upload is aborted when its blob went before completion. */
export interface BlobsTable {
  blob_id: string
  part_bytes: number
  state: BlobState
  declared_bytes: number | null
  /** Fixed when the upload is sealed. */
  size_bytes: number | null
  /** How many parts from the start are durable without a gap, and their bytes: what a follower may read. */
  prefix_parts: number
  prefix_bytes: number
  /** One past the highest durable part. */
  end_parts: number
  /** The durable part that is shorter than `part_bytes`, and so must be the last. */
  short_part: number | null
  created_at: number
  /** Tombstone: nothing refers to it any more and its bytes are to be deleted. Later when that has failed since. */
  deleted_at: number | null
  /** The bytes are gone; the row stays as long as ended leases still tell that they once were. */
  purged_at: number | null
  /** Until when somebody may store parts by addresses that were given out; `null` when none ever was. */
  addresses_until: number | null
}

export interface UploadsTable {
  upload_id: string
  blob_id: string
  media_id: string
  client_id: string
  owner_hash: string | null
  /**
   * What this upload holds of its client's `reserved_bytes`; once finished, of its `stored_bytes`, for bytes that
   * addresses may still bring ([Note: held bytes] in held-bytes.ts).
   */
  reserved_bytes: number
  max_bytes: number
  expires_at: number
  /** Completed or given up. */
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
  /** Downloads that may still begin by this lease's own count; `null` when it has none. */
  downloads_left: number | null
  ended_at: number | null
  /** The lease whose count a download takes from: this one, or one it was forwarded from. `null`: not counted. */
  counter_id: string | null
  /** With a count of its own: the next count above it, which a download takes from as well. */
  above_id: string | null
  /** The counted lease that this one was forwarded from, and ends with. */
  source_id: string | null
}

/** Downloads that have begun, one row for each count that they were taken from. */
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
  /** Media it covers: rows of `parcel_media`. */
  media_count: number
  created_at: number
  expires_at: number
  ended_at: number | null
}

/** The sealed manifest of each live parcel, apart from what is asked about the parcel: it may have megabytes. */
export interface ManifestsTable {
  parcel_id: string
  version: number
  bytes: Uint8Array
}

export interface ParcelMediaTable {
  parcel_id: string
  media_id: string
}

/** What a client is charged. Its row is also the lock under which its quota is checked. */
export interface ClientUsageTable {
  client_id: string
  stored_bytes: number
  reserved_bytes: number
  pending_uploads: number
  /** Rows kept for this client ([Note: stored rows] in ledger.ts). */
  stored_rows: number
  /** 1 while nothing is charged. A column of its own, so that its index changes only when that does. */
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
  /** The id of what the first request made. */
  made_id: string
  expires_at: number
}

/** A few rows, rewritten by probes: proof that a commit goes through. */
export interface ProbesTable {
  id: number
  count: number
}

/** Who does what only one node may do at a time. Times are of the database's clock. */
export interface NamedLeasesTable {
  name: string
  holder: string
  /** Grows with each new holder. */
  fence: number
  expires_at: number
}

/** What the record store takes and returns. Times are ms since the epoch. */
import type { BlobId } from '../blobs/blob-store.ts'

export type ClientId = string

/** Limits that are checked inside a transaction. */
export interface QuotaCaps {
  readonly storedBytes: number
  readonly storedRows: number
  readonly pendingUploads: number
  readonly pendingBytes: number
  /** Largest size of this media item. */
  readonly maxBytes: number
}

export type StorageCaps = Pick<QuotaCaps, 'storedBytes' | 'storedRows'>

export interface NewLease {
  readonly mediaId: string
  readonly clientId: ClientId
  /** SHA-256 (hex) of the owner secret; `null` without one. */
  readonly ownerHash: string | null
  readonly createdAt: number
  readonly expiresAt: number
  readonly maxDownloads: number | null
}

/** Makes a POST repeatable: stored in the transaction that creates the upload, lease or parcel. */
export interface Idempotency {
  readonly clientId: ClientId
  readonly key: string
  /** SHA-256 (hex) of route and request; the same key with another fingerprint is `idempotency_conflict`. */
  readonly fingerprint: string
  readonly expiresAt: number
}

export interface NewUpload {
  readonly uploadId: string
  readonly blobId: BlobId
  readonly lease: NewLease
  readonly partBytes: number
  /** `null`: unknown; then each part reserves its own size. */
  readonly declaredBytes: number | null
  readonly expiresAt: number
  readonly caps: QuotaCaps
  readonly idempotency: Idempotency | null
}

export interface UploadRecord {
  readonly uploadId: string
  readonly blobId: BlobId
  readonly mediaId: string
  readonly clientId: ClientId
  readonly ownerHash: string | null
  readonly partBytes: number
  readonly declaredBytes: number | null
  /**
   * `completing`: the size is fixed and the blob store is finalizing the bytes; repeating complete repairs a crash
   * here. `aborted`: aborted, expired, or its lease ended; changes throw `gone` until the row is purged.
   */
  readonly state: 'uploading' | 'completing' | 'complete' | 'aborted'
  readonly sizeBytes: number | null
  readonly expiresAt: number
  readonly maxBytes: number
  /** When the last presigned URL of a part expires; `null` if none was issued. */
  readonly presignedUntil: number | null
}

export interface SizedPart {
  readonly index: number
  readonly sizeBytes: number
}

export interface PartRecord extends SizedPart {
  readonly durable: boolean
}

/** A lease and its blob, as a download needs them. */
export interface MediaRecord {
  readonly mediaId: string
  readonly clientId: ClientId
  readonly ownerHash: string | null
  readonly createdAt: number
  readonly expiresAt: number
  readonly maxDownloads: number | null
  readonly downloadsUsed: number
  /** The counted lease that this lease was forwarded from, and ends with. */
  readonly sourceId: string | null
  /** Set once the lease has ended: deleted, expired or exhausted and swept, or its upload aborted. */
  readonly endedAt: number | null
  readonly blobId: BlobId
  readonly partBytes: number
  readonly state: 'uploading' | 'complete'
  /** Final, or declared while uploading, or `null`. */
  readonly sizeBytes: number | null
}

export interface NewForward {
  readonly fromMediaId: string
  readonly lease: NewLease
  readonly caps: StorageCaps
  readonly idempotency: Idempotency | null
}

/** A parcel without its manifest, which may have megabytes. */
export interface ParcelRecord {
  readonly parcelId: string
  readonly clientId: ClientId
  readonly ownerHash: string | null
  readonly version: number
  /** Size of the sealed manifest of this version; 0 once the parcel has ended. */
  readonly manifestBytes: number
  readonly createdAt: number
  readonly expiresAt: number
  readonly endedAt: number | null
}

export interface NewParcel {
  readonly parcelId: string
  readonly clientId: ClientId
  readonly ownerHash: string | null
  readonly manifest: Uint8Array
  readonly media: readonly string[]
  readonly createdAt: number
  readonly expiresAt: number
  readonly caps: StorageCaps
  readonly idempotency: Idempotency | null
}

export interface NextManifest {
  readonly ifVersion: number
  readonly manifest: Uint8Array
  readonly media: readonly string[]
  /** Of the caller; what is added is charged to the client that published the parcel. */
  readonly caps: StorageCaps
  readonly now: number
}

export interface Usage {
  readonly storedBytes: number
  readonly storedRows: number
  readonly reservedBytes: number
  readonly pendingUploads: number
}

/** What a caller shows to change a lease or parcel: the client that created it, or the owner secret. */
export interface OwnershipProof {
  /** `null` for an anonymous client: an IP address proves nothing, so only the owner secret counts. */
  readonly clientId: ClientId | null
  readonly ownerHash: string | null
}

export interface SeenDevice {
  readonly clientId: ClientId
  readonly deviceId: string
  /** Devices that this client may use. */
  readonly cap: number
  readonly now: number
  /** Devices last seen before this time do not count. */
  readonly forgetBefore: number
}

/** Work that one node does at a time. */
export interface NamedLock {
  readonly name: string
  readonly holder: string
  /** Grows with each new holder: a holder with a lower fence has lost the lock, whatever its clock says. */
  readonly fence: number
  /** By the database's clock. */
  readonly expiresAt: number
}

/** A finished upload that is charged for bytes that presigned URLs may have stored; the URLs have expired. */
export interface PresignedCharge {
  readonly uploadId: string
  readonly blob: LiveBlob
  /** True when no lease holds the blob: all of its bytes must be deleted. */
  readonly deleted: boolean
}

export interface LiveBlob {
  readonly blobId: BlobId
  readonly partBytes: number
  readonly state: 'uploading' | 'completing' | 'complete'
  readonly sizeBytes: number | null
}

export interface WrongCharge {
  readonly clientId: ClientId
  readonly charged: Usage
  readonly actual: Usage
}

export interface StorageTotals {
  readonly blobs: number
  readonly blobBytes: number
  readonly reservedBytes: number
  readonly pendingUploads: number
  readonly leases: number
  readonly parcels: number
  readonly tombstones: number
  /** When the oldest unfinished upload began; `null` without one. */
  readonly oldestUploadAt: number | null
}

/**
 * What the server knows: uploads, blobs, leases, parcels and what each client is charged. One implementation over
 * Kysely (`kysely-record-store.ts`), two dialects (SQLite here; PostgreSQL).
 *
 * The contract, for every dialect (test/contract/record-store-contract.ts):
 * - every method that changes anything is one transaction, durable when it resolves;
 * - quota and counts are exact under concurrency: checked and charged in the same transaction;
 * - charged = for each client, the size of every complete blob it holds at least one live lease of (once per blob,
 *   however many leases), plus the manifests of its live parcels, plus `reserved` of its unfinished uploads, plus what
 *   addresses of its finished ones may still bring ([Note: held bytes] in held-bytes.ts). 0 again when all is deleted and
 *   every address has expired. The rows that all of it takes are counted as well ([Note: stored rows] in ledger.ts), until
 *   they are purged;
 * - "not there" is `null`; a refusal is a `SealiftError` with the code named at the method; a database that cannot do
 *   its work right now rejects with `unavailable`.
 * - times are ms since the epoch, given by the caller (`now`), so that one clock rules.
 */
import type { BlobId } from '../blobs/blob-store.ts'

export type ClientId = string

/** The caps that are checked inside a transaction. */
export interface QuotaCaps {
  readonly storedBytes: number
  readonly storedRows: number
  readonly pendingUploads: number
  readonly pendingBytes: number
  /** Largest size of this one media. */
  readonly maxBytes: number
}

/** The caps on what is kept. */
export type StorageCaps = Pick<QuotaCaps, 'storedBytes' | 'storedRows'>

export interface NewLease {
  readonly mediaId: string
  readonly clientId: ClientId
  /** SHA-256 (hex) of the owner secret; `null` when none was given. */
  readonly ownerHash: string | null
  readonly createdAt: number
  readonly expiresAt: number
  readonly maxDownloads: number | null
}

/** Makes a POST repeatable: stored with what it made, in the same transaction. */
export interface Idempotency {
  readonly clientId: ClientId
  readonly key: string
  /** SHA-256 (hex) of route and request; the same key with another one is `idempotency_conflict`. */
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
   * `completing`: the size is fixed and the store is being told; a crash here is repaired by repeating complete.
   * `aborted`: given up, expired, or its lease ended; whatever would change it throws `gone`, until the row is purged.
   */
  readonly state: 'uploading' | 'completing' | 'complete' | 'aborted'
  readonly sizeBytes: number | null
  readonly expiresAt: number
  readonly maxBytes: number
  /** Until when somebody may store parts by addresses that were given out; `null` when none ever was. */
  readonly presignedUntil: number | null
}

export interface PartRecord {
  readonly index: number
  readonly sizeBytes: number
  readonly durable: boolean
}

/** A lease and its blob, as the download path needs them. */
export interface MediaRecord {
  readonly mediaId: string
  readonly clientId: ClientId
  readonly ownerHash: string | null
  readonly createdAt: number
  readonly expiresAt: number
  readonly maxDownloads: number | null
  readonly downloadsUsed: number
  /** The counted lease that this one was forwarded from, and ends with. */
  readonly sourceId: string | null
  /** Set once the lease has ended (deleted, expired, exhausted and swept, or its upload given up). */
  readonly endedAt: number | null
  readonly blobId: BlobId
  readonly partBytes: number
  readonly state: 'uploading' | 'complete'
  /** Final, or declared while uploading, or `null`. */
  readonly sizeBytes: number | null
}

/** A parcel without its manifest, which may have megabytes: what most questions about a parcel need. */
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
}

export interface Usage {
  readonly storedBytes: number
  readonly storedRows: number
  readonly reservedBytes: number
  readonly pendingUploads: number
}

/** Who asks to change a lease or parcel: the client it was made by, or the holder of its owner secret. */
export interface OwnershipProof {
  /** `null` for an anonymous client: an address proves nothing, so only the owner secret counts. */
  readonly clientId: ClientId | null
  readonly ownerHash: string | null
}

export interface UploadRecords {
  /**
   * Makes the upload, its blob and its lease, and reserves `declaredBytes`.
   * A repeated idempotency key returns the upload made the first time.
   * @throws quota_exceeded, too_many_pending, too_large, idempotency_conflict
   */
  beginUpload(upload: NewUpload): Promise<UploadRecord>
  findUpload(uploadId: string): Promise<UploadRecord | null>
  /**
   * Before a part's bytes are taken: checks the state and, for an upload of unknown size, reserves the part's bytes
   * (a second reservation of the same part replaces the first). Returns the part when it is already durable.
   * @throws gone, upload_complete, quota_exceeded, too_many_pending (pendingBytes), too_large (also for a part that ends
   *   behind the last byte that maxBytes, pendingBytes and storedBytes allow, however few bytes are reserved),
   *   size_mismatch (a length that the declared size, or the parts already there, do not allow at this index)
   */
  reservePart(uploadId: string, part: { index: number; sizeBytes: number }, caps: QuotaCaps): Promise<PartRecord | null>
  /**
   * Before an address for a part is given out that somebody may use until `until`: reserves as `reservePart`, and what
   * the address may bring stays charged until then, however the upload ends. From the first one on, no reservation of
   * the upload shrinks: an older address may be for more bytes.
   */
  reservePresignedPart(
    uploadId: string,
    part: { index: number; sizeBytes: number },
    caps: QuotaCaps,
    until: number,
  ): Promise<PartRecord | null>
  /** After the bytes are durable. Moves the upload's expiry to `expiresAt`. @throws gone, upload_complete */
  recordPart(uploadId: string, part: { index: number; sizeBytes: number }, expiresAt: number): Promise<void>
  /** One part, durable or merely reserved. */
  findPart(blobId: BlobId, index: number): Promise<PartRecord | null>
  /** Ascending by index; durable and merely reserved ones. */
  listParts(blobId: BlobId): Promise<readonly PartRecord[]>
  /**
   * Fixes the size: checks that parts 0…n are durable without a gap, all but the last of `partBytes`, and sum up.
   * From here no part is taken any more. Returns the upload (`completing` or, when repeated, `complete`).
   * @throws gone, parts_missing (context: missing), size_mismatch
   */
  finalizeUpload(uploadId: string, sizeBytes: number): Promise<UploadRecord>
  /** After the store has completed the blob: turns reservation into charge, state `complete`. Idempotent. */
  finishUpload(uploadId: string, now: number): Promise<MediaRecord>
  /**
   * The one-request upload, after the store has completed the blob: records every part, fixes the size and finishes,
   * in one transaction. @throws gone, quota_exceeded, too_large (when `sizeBytes` is more than was reserved)
   */
  finishInOneStep(uploadId: string, sizeBytes: number, caps: QuotaCaps, now: number): Promise<MediaRecord>
  /** Gives up: lease ended, reservation freed, blob tombstoned. @throws upload_complete */
  abortUpload(uploadId: string, now: number): Promise<void>
}

export interface MediaRecords {
  findMedia(mediaId: string): Promise<MediaRecord | null>
  /** Contiguous durable bytes from the start of a blob that is still uploading. */
  durablePrefix(blobId: BlobId, partBytes: number): Promise<number>
  /**
   * Forwards. A forward of a counted lease takes its downloads from the same count, has no more of them and no more time
   * than is left of its source, and ends with it.
   * @throws not_found, gone, downloads_exhausted, upload_in_progress, quota_exceeded, idempotency_conflict,
   *   invalid_request (too many counts below each other)
   */
  addLease(
    fromMediaId: string,
    lease: NewLease,
    caps: StorageCaps,
    idempotency: Idempotency | null,
  ): Promise<MediaRecord>
  /**
   * Ends a lease if `claim` owns it, and the forwards of it when its downloads are counted; tombstones the blob with the
   * last one. Repeating it is no error. @throws not_found
   */
  endLease(mediaId: string, claim: OwnershipProof, now: number): Promise<void>
  /**
   * Takes one download off a lease with `maxDownloads`, and off those it was forwarded from, and remembers it under
   * `grantId` until `expiresAt`.
   * @throws downloads_exhausted, gone
   */
  takeDownload(mediaId: string, grant: { grantId: string; expiresAt: number }, now: number): Promise<void>
  /** True while this grant was taken for this media, or another with the same count, and has not lapsed. */
  hasGrant(mediaId: string, grantId: string, now: number): Promise<boolean>
  /** Gives a download back that moved not one byte. */
  returnDownload(mediaId: string, grantId: string): Promise<void>
}

/** Optional power: records that remember, and answer at once. */
export interface CachesMedia {
  /** What `findMedia` would resolve with; `null`: it has to be asked. */
  cachedMedia(mediaId: string): MediaRecord | null
}

/** Optional power: records on a disk of this machine. */
export interface MeasuresRecordSpace {
  freeSpace(): Promise<{ readonly freeBytes: number; readonly totalBytes: number }>
}

/** Optional power: records that tell at once whether anything in them has changed, whichever process changed it. */
export interface MarksChanges {
  /** Another number after every change: seen from when the change is durable, and before whoever made it is told. */
  readonly changeMark: () => number
}

export interface ParcelRecords {
  /** @throws not_found (a covered media is not the caller's), quota_exceeded, idempotency_conflict */
  publishParcel(parcel: NewParcel, claim: OwnershipProof): Promise<ParcelRecord>
  /** Reads no manifest. */
  findParcel(parcelId: string): Promise<ParcelRecord | null>
  /** The sealed manifest; `null` when this version was replaced since, or the parcel has ended. Off the event loop. */
  readManifest(parcelId: string, version: number): Promise<Uint8Array | null>
  /**
   * @throws not_found, gone, version_mismatch (context: version), invalid_request (a covered media was dropped),
   *   quota_exceeded
   */
  replaceManifest(parcelId: string, next: NextManifest, claim: OwnershipProof, now: number): Promise<ParcelRecord>
  /** Ends the parcel and the leases it covers. Repeating it is no error. @throws not_found */
  endParcel(parcelId: string, claim: OwnershipProof, now: number): Promise<void>
}

export interface ClientRecords {
  usage(clientId: ClientId): Promise<Usage>
  /** Notes that a device of this client was seen. @throws too_many_devices */
  noteDevice(clientId: ClientId, deviceId: string, cap: number, now: number, forgetBefore: number): Promise<void>
  countDevices(clientId: ClientId, forgetBefore: number): Promise<number>
}

/** For the sweeper and fsck only. What takes a batch is bounded by it and returns how many rows it touched. */
export interface UpkeepRecords {
  /** Ends leases whose time is over, or whose downloads are used up with no live grant. */
  endExpiredLeases(now: number, batch: number): Promise<number>
  endExpiredParcels(now: number, batch: number): Promise<number>
  /** Gives up uploads past their expiry. */
  abortExpiredUploads(now: number, batch: number): Promise<number>
  /** Uploads that crashed while `completing`: to be finished by repeating complete. Others each time when there are more. */
  listCompleting(batch: number): Promise<readonly UploadRecord[]>
  /** Blobs whose bytes must be deleted, oldest first. */
  listTombstones(batch: number): Promise<readonly { readonly blobId: BlobId }[]>
  /** After its bytes could not be deleted: others come first the next time. */
  postponeTombstone(blobId: BlobId, now: number): Promise<void>
  /** After the bytes are gone. */
  purgeBlob(blobId: BlobId): Promise<void>
  /** Finished uploads that hold bytes for addresses which have expired by `now`. `after` pages by upload id. */
  listPresignedCharges(now: number, after: string | null, batch: number): Promise<readonly PresignedCharge[]>
  /** After what such addresses brought is deleted. Repeating it is no error. */
  releasePresignedCharge(uploadId: string, now: number): Promise<void>
  /** Drops ended leases and parcels older than `before`, lapsed grants, idempotency keys and devices. */
  purgeEnded(before: number, now: number, batch: number): Promise<number>
  /** Which of these are known (in any state, tombstones included). */
  knownBlobs(blobIds: readonly BlobId[]): Promise<ReadonlySet<BlobId>>
  /** Every blob that must be readable, for the sweep's other direction and fsck. `after` pages by blob id. */
  listLiveBlobs(after: BlobId | null, batch: number): Promise<readonly LiveBlob[]>
  /**
   * For a blob whose bytes are gone for good: ends every lease of it, or its upload, so that readers are told `gone`.
   * @returns how many ended
   */
  endBlob(blobId: BlobId, now: number): Promise<number>
  /** Recomputes what each client is charged and returns those that were wrong (repaired when `repair`). */
  auditUsage(repair: boolean): Promise<readonly { clientId: ClientId; charged: Usage; actual: Usage }[]>
  totals(): Promise<StorageTotals>
}

/** Work that only one node does at a time. */
export interface NamedLock {
  readonly name: string
  readonly holder: string
  /** Grows with each new holder: who has a lower one has lost the lease, whatever its clock says. */
  readonly fence: number
  /** By the database's clock. */
  readonly expiresAt: number
}

/** Who does what only one node may do at a time, by the database's clock: nodes need not agree on the time. */
export interface NamedLocks {
  /** The database's clock, ms since the epoch. */
  databaseTime(): Promise<number>
  /**
   * Takes the lease when it is free or has lapsed; who holds it already keeps it for `ttlMs` more, with the same fence.
   * `null` while another holds it.
   */
  acquireLock(name: string, holder: string, ttlMs: number): Promise<NamedLock | null>
  /** Keeps it for `ttlMs` more. `null` when it is lost: it lapsed and another took it, or it was released. */
  renewLock(lease: NamedLock, ttlMs: number): Promise<NamedLock | null>
  /** Lets the next one take it at once. No error when it is lost already. */
  releaseLock(lease: NamedLock): Promise<void>
}

export interface PresignedCharge {
  readonly uploadId: string
  readonly blob: LiveBlob
  /** Nobody holds its blob any more: all of its bytes are to go. */
  readonly deleted: boolean
}

export interface LiveBlob {
  readonly blobId: BlobId
  readonly partBytes: number
  readonly state: 'uploading' | 'completing' | 'complete'
  readonly sizeBytes: number | null
}

export interface StorageTotals {
  readonly blobs: number
  readonly blobBytes: number
  readonly reservedBytes: number
  readonly pendingUploads: number
  readonly leases: number
  readonly parcels: number
  readonly tombstones: number
  /** ms since the epoch of the oldest unfinished upload; `null` when there is none. */
  readonly oldestUploadAt: number | null
}

export interface RecordStore
  extends UploadRecords, MediaRecords, ParcelRecords, ClientRecords, UpkeepRecords, NamedLocks, AsyncDisposable {
  /**
   * Brings the schema up to date; of nodes that start together, one does it and the others wait.
   * @throws unavailable when the schema is newer than this program knows
   */
  migrate(): Promise<void>
  /** Changes nothing. @throws unavailable when the schema is newer than this program knows, or not up to date */
  checkSchema(): Promise<void>
  /** Proves that the database can commit right now. */
  probe(): Promise<void>
}

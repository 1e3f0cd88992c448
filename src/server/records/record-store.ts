/**
 * The port of the record database: uploads, blobs, leases, parcels and the quota usage of each client. One
 * implementation over Kysely (queries/), with SQLite and PostgreSQL below it (sqlite/, postgres/).
 *
 * The contract of every adapter and decorator (test/contract/record-store-contract.ts):
 * - a method that changes anything is one transaction, durable when it resolves;
 * - quota and counts are exact under concurrency: checked and charged in the same transaction;
 * - charged to a client are the size of each complete blob that it holds a live lease of (once per blob), the
 *   manifests of
 *   its live parcels, the reservations of its unfinished uploads, presigned charges ([Note: presigned charges] in
 *   presigned-charges.ts), and rows until they are purged ([Note: stored rows] in quota-usage.ts). All are 0 again when
 *   everything is deleted and every presigned URL has expired;
 * - "not found" is `null`; a refusal is a `SealiftError` with a code named at the method; a database that cannot work
 *   now
 *   rejects with `unavailable`;
 * - the caller passes the time (`now`), so that one clock rules;
 * - a method rejects with the reason of `signal` when it aborts before the call has begun in the database. A change
 *   that
 *   has begun runs to its end and returns its outcome; a read may be abandoned.
 */
import type { BlobId } from '../blobs/blob-store.ts'
import type {
  ClientId,
  LiveBlob,
  MediaRecord,
  NamedLock,
  NewForward,
  NewParcel,
  NewUpload,
  NextManifest,
  OwnershipProof,
  ParcelRecord,
  PartRecord,
  PresignedCharge,
  QuotaCaps,
  SeenDevice,
  SizedPart,
  StorageTotals,
  UploadRecord,
  Usage,
  WrongCharge,
} from './record-types.ts'

export interface UploadRecords {
  /**
   * Creates the upload, its blob and its lease, and reserves `declaredBytes`.
   * A repeated idempotency key returns the upload of the first request.
   * @throws quota_exceeded, too_many_pending, too_large, idempotency_conflict
   */
  beginUpload(upload: NewUpload, signal?: AbortSignal): Promise<UploadRecord>
  findUpload(uploadId: string, signal?: AbortSignal): Promise<UploadRecord | null>
  /**
   * Before a part's bytes are received: checks the state and, for an upload of unknown size, reserves the part's bytes
   * (a second reservation of the same part replaces the first). Returns the part if it is durable already.
   * @throws gone, upload_complete, quota_exceeded, too_many_pending (pendingBytes), too_large (also for a part that
   * ends
   *   behind the last byte that maxBytes, pendingBytes and storedBytes allow, however few bytes are reserved),
   *   size_mismatch (a length that the declared size, or the stored parts, do not allow at this index)
   */
  reservePart(uploadId: string, part: SizedPart, caps: QuotaCaps, signal?: AbortSignal): Promise<PartRecord | null>
  /**
   * Before a presigned URL for a part is issued that expires at `until`: reserves as `reservePart`. What the URL may
   * bring stays charged until it expires, however the upload ends. After the first URL no reservation of the upload
   * shrinks, since an older URL may be for more bytes.
   */
  reservePresignedPart(
    uploadId: string,
    part: SizedPart & { readonly until: number },
    caps: QuotaCaps,
    signal?: AbortSignal,
  ): Promise<PartRecord | null>
  /** After the bytes are durable. Moves the upload's expiry to `expiresAt`. @throws gone, upload_complete */
  recordPart(uploadId: string, part: SizedPart, expiresAt: number, signal?: AbortSignal): Promise<void>
  /** A part, durable or reserved. */
  findPart(blobId: BlobId, index: number, signal?: AbortSignal): Promise<PartRecord | null>
  /** Durable and reserved parts, ascending by index. */
  listParts(blobId: BlobId, signal?: AbortSignal): Promise<readonly PartRecord[]>
  /**
   * Fixes the size: checks that parts 0…n are durable without a gap, all but the last of `partBytes`, and sum up.
   * From here on parts are refused. Returns the upload (`completing` or, when repeated, `complete`).
   * @throws gone, parts_missing (context: missing), size_mismatch
   */
  finalizeUpload(uploadId: string, sizeBytes: number, signal?: AbortSignal): Promise<UploadRecord>
  /** After the store has completed the blob: turns the reservation into a charge, state `complete`. Idempotent. */
  finishUpload(uploadId: string, now: number, signal?: AbortSignal): Promise<MediaRecord>
  /**
   * For an upload in one request, after the store has completed the blob: records the parts, fixes the size and
   * finishes, in one transaction. @throws gone, quota_exceeded, too_large (when `sizeBytes` is more than was
   * reserved)
   */
  finishInOneStep(
    uploadId: string,
    end: { readonly sizeBytes: number; readonly caps: QuotaCaps; readonly now: number },
    signal?: AbortSignal,
  ): Promise<MediaRecord>
  /** Ends the lease, frees the reservation, tombstones the blob. @throws upload_complete */
  abortUpload(uploadId: string, now: number, signal?: AbortSignal): Promise<void>
}

export interface FindsMedia {
  /**
   * The lease, alive or ended, and its blob. The caller checks `endedAt` and `expiresAt` before the first byte
   * (transfers/download/open-media.ts). A lease that ends later does not stop a running download by itself:
   * - a follower of an unfinished upload calls this again each time it wakes, and is cut with `gone`
   *   (transfers/download/follow-upload.ts);
   * - a complete blob in a file is read to its end, also after the deletion, because the file stays open
   *   (blobs/file/open-files.ts);
   * - from S3, parts opened before the deletion arrive; the next one fails with `damaged` (blobs/s3/read-parts.ts),
   *   which
   *   `downloadMedia` turns into `gone` (transfers/download/download-media.ts);
   * - a response whose headers are sent is cut by the HTTP layer (http/dispatch.ts), never ended as a short 200.
   * The bytes are deleted by the sweep after the last lease of the blob (upkeep/delete-blobs.ts).
   */
  findMedia(mediaId: string, signal?: AbortSignal): Promise<MediaRecord | null>
  /** Contiguous durable bytes from the start of a blob that is still uploading. */
  durablePrefix(blobId: BlobId, signal?: AbortSignal): Promise<number>
}

export interface LeaseRecords {
  /**
   * Forwards. A forward of a counted lease takes its downloads from the same count, has no more of them and no more
   * time than is left of its source, and ends with it.
   * @throws not_found, gone, downloads_exhausted, upload_in_progress, quota_exceeded, idempotency_conflict,
   *   invalid_request (too many counts below each other)
   */
  addLease(forward: NewForward, signal?: AbortSignal): Promise<MediaRecord>
  /**
   * Ends a lease that `proof` owns, and its forwards if its downloads are counted; tombstones the blob with its last
   * lease. Repeating it is no error. @throws not_found
   */
  endLease(mediaId: string, proof: OwnershipProof, now: number, signal?: AbortSignal): Promise<void>
}

/** Downloads of leases with `maxDownloads`. */
export interface DownloadRecords {
  /**
   * Takes one download from the lease and from each count above it, and stores the grant until `expiresAt`.
   * @throws downloads_exhausted, gone
   */
  takeDownload(
    mediaId: string,
    grant: { readonly grantId: string; readonly expiresAt: number },
    now: number,
    signal?: AbortSignal,
  ): Promise<void>
  /** True while this grant was taken for this media item, or another with the same count, and has not expired. */
  hasGrant(mediaId: string, grantId: string, now: number, signal?: AbortSignal): Promise<boolean>
  /** Releases a download that moved not one byte. */
  returnDownload(mediaId: string, grantId: string, signal?: AbortSignal): Promise<void>
}

export interface MediaRecords extends FindsMedia, LeaseRecords, DownloadRecords {}

export interface ParcelRecords {
  /** @throws not_found (a covered media item is not the caller's), quota_exceeded, idempotency_conflict */
  publishParcel(parcel: NewParcel, proof: OwnershipProof, signal?: AbortSignal): Promise<ParcelRecord>
  /** Reads no manifest. */
  findParcel(parcelId: string, signal?: AbortSignal): Promise<ParcelRecord | null>
  /** The sealed manifest; `null` when this version was replaced, or the parcel has ended. Off the event loop. */
  readManifest(parcelId: string, version: number, signal?: AbortSignal): Promise<Uint8Array | null>
  /**
   * @throws not_found, gone, version_mismatch (context: version), invalid_request (a covered media item was dropped),
   *   quota_exceeded
   */
  replaceManifest(
    parcelId: string,
    next: NextManifest,
    proof: OwnershipProof,
    signal?: AbortSignal,
  ): Promise<ParcelRecord>
  /** Ends the parcel and the leases it covers. Repeating it is no error. @throws not_found */
  endParcel(parcelId: string, proof: OwnershipProof, now: number, signal?: AbortSignal): Promise<void>
}

export interface ClientRecords {
  usage(clientId: ClientId, signal?: AbortSignal): Promise<Usage>
  /** Notes that a device of this client was seen. @throws too_many_devices */
  noteDevice(device: SeenDevice, signal?: AbortSignal): Promise<void>
  countDevices(clientId: ClientId, forgetBefore: number, signal?: AbortSignal): Promise<number>
}

/** For the sweep and fsck. A batch bounds the rows touched; their number is returned. */
export interface UpkeepRecords {
  /** Ends leases that have expired, or whose downloads are used up with no live grant. */
  endExpiredLeases(now: number, batch: number, signal?: AbortSignal): Promise<number>
  endExpiredParcels(now: number, batch: number, signal?: AbortSignal): Promise<number>
  abortExpiredUploads(now: number, batch: number, signal?: AbortSignal): Promise<number>
  /**
   * Uploads that crashed while `completing`, to be finished by repeating complete; a random sample if there are more.
   */
  listCompleting(batch: number, signal?: AbortSignal): Promise<readonly UploadRecord[]>
  /** Blobs whose bytes must be deleted, oldest first. */
  listTombstones(batch: number, signal?: AbortSignal): Promise<readonly { readonly blobId: BlobId }[]>
  /** After its bytes could not be deleted: moves it behind the other tombstones. */
  postponeTombstone(blobId: BlobId, now: number, signal?: AbortSignal): Promise<void>
  /** After the bytes are deleted. */
  purgeBlob(blobId: BlobId, signal?: AbortSignal): Promise<void>
  /** Charges whose presigned URLs have expired at `now`. `after` pages by upload id. */
  listPresignedCharges(
    now: number,
    after: string | null,
    batch: number,
    signal?: AbortSignal,
  ): Promise<readonly PresignedCharge[]>
  /** After the bytes that the URLs brought are deleted. Repeating it is no error. */
  releasePresignedCharge(uploadId: string, now: number, signal?: AbortSignal): Promise<void>
  /** Deletes ended leases and parcels older than `before`, expired grants, idempotency keys and devices. */
  purgeEnded(before: number, now: number, batch: number, signal?: AbortSignal): Promise<number>
  /** Which of these have a record, in any state, tombstones included. */
  knownBlobs(blobIds: readonly BlobId[], signal?: AbortSignal): Promise<ReadonlySet<BlobId>>
  /** Blobs that must be readable. `after` pages by blob id. */
  listLiveBlobs(after: BlobId | null, batch: number, signal?: AbortSignal): Promise<readonly LiveBlob[]>
  /**
   * For a blob whose bytes are lost: ends all its leases, or its upload, so that readers get `gone`.
   * @returns how many ended
   */
  endBlob(blobId: BlobId, now: number, signal?: AbortSignal): Promise<number>
  /** Recomputes the usage of each client and returns those that were wrong (repaired when `repair`). */
  auditUsage(repair: boolean, signal?: AbortSignal): Promise<readonly WrongCharge[]>
  totals(signal?: AbortSignal): Promise<StorageTotals>
}

/** Locks for work that one node does at a time, by the database's clock: nodes need not agree on the time. */
export interface NamedLocks {
  /** The database's clock, ms since the epoch. */
  databaseTime(signal?: AbortSignal): Promise<number>
  /**
   * Acquires the lock when it is free or has expired; its holder extends it by `ttlMs`, with the same fence.
   * `null` while another node holds it.
   */
  acquireLock(name: string, holder: string, ttlMs: number, signal?: AbortSignal): Promise<NamedLock | null>
  /** Extends it by `ttlMs`. `null` when it is lost: it expired and another node acquired it, or it was released. */
  renewLock(lock: NamedLock, ttlMs: number, signal?: AbortSignal): Promise<NamedLock | null>
  /** Another node can acquire it at once. No error when it is lost already. */
  releaseLock(lock: NamedLock, signal?: AbortSignal): Promise<void>
}

export interface RecordDatabaseState {
  /**
   * Brings the schema up to date; of nodes that start together, one does it and the others wait.
   * @throws unavailable when the schema is newer than this program knows
   */
  migrate(signal?: AbortSignal): Promise<void>
  /** Changes nothing. @throws unavailable when the schema is newer than this program knows, or not up to date */
  checkSchema(signal?: AbortSignal): Promise<void>
  /** Proves that the database can commit right now. */
  probe(signal?: AbortSignal): Promise<void>
}

export interface RecordStore
  extends
    UploadRecords,
    MediaRecords,
    ParcelRecords,
    ClientRecords,
    UpkeepRecords,
    NamedLocks,
    RecordDatabaseState,
    AsyncDisposable {}

/** Optional: records cached in memory, returned without a turn of the event loop. */
export interface CachesMedia {
  /** What `findMedia` would resolve with; `null` when it is not cached. */
  cachedMedia(mediaId: string): MediaRecord | null
}

/** Optional: records on a disk of this machine. */
export interface MeasuresRecordSpace {
  freeSpace(): Promise<{ readonly freeBytes: number; readonly totalBytes: number }>
}

/** Optional: records that report at once whether any process has changed them. */
export interface MarksChanges {
  /** Another number after every change, from the moment it is durable and before its method resolves. */
  readonly changeMark: () => number
}

/** Records as the verbs make them, with what a test does not care about filled in. */
import type { RecordStore } from '../../src/server/index.ts'
import type {
  MediaRecord,
  NewLease,
  NewParcel,
  NewUpload,
  QuotaCaps,
  UploadRecord,
} from '../../src/server/records/record-types.ts'
import { freshId } from './blob-bytes.ts'

export const NOW = 1_800_000_000_000
export const LATER = NOW + 1_000_000
export const PART = 100

export const PLENTY: QuotaCaps = {
  storedBytes: Number.MAX_SAFE_INTEGER,
  storedRows: Number.MAX_SAFE_INTEGER,
  pendingUploads: 1_000_000,
  pendingBytes: Number.MAX_SAFE_INTEGER,
  maxBytes: Number.MAX_SAFE_INTEGER,
}

export function newLease(lease: Partial<NewLease> = {}): NewLease {
  return {
    mediaId: freshId(),
    clientId: 'alice',
    ownerHash: null,
    createdAt: NOW,
    expiresAt: LATER,
    maxDownloads: null,
    ...lease,
  }
}

export type UploadOptions = Partial<Omit<NewUpload, 'lease' | 'caps'>> & {
  readonly lease?: Partial<NewLease>
  readonly caps?: Partial<QuotaCaps>
}

/** An upload of unknown size, unless told otherwise. */
export function newUpload({ lease, caps, ...upload }: UploadOptions = {}): NewUpload {
  return {
    uploadId: freshId(),
    blobId: freshId(),
    lease: newLease(lease),
    partBytes: PART,
    declaredBytes: null,
    expiresAt: LATER,
    caps: { ...PLENTY, ...caps },
    idempotency: null,
    ...upload,
  }
}

export function newParcel(media: readonly string[], parcel: Partial<NewParcel> = {}): NewParcel {
  return {
    parcelId: freshId(),
    clientId: 'alice',
    ownerHash: null,
    manifest: Buffer.from('a sealed manifest'),
    media,
    createdAt: NOW,
    expiresAt: LATER,
    caps: PLENTY,
    idempotency: null,
    ...parcel,
  }
}

/** Begins an upload and stores parts `indices` of it, full ones unless `sizes` tells otherwise. */
export async function putParts(
  records: RecordStore,
  upload: UploadRecord,
  sizes: Readonly<Record<number, number>>,
): Promise<void> {
  for (const [index, sizeBytes] of Object.entries(sizes)) {
    const part = { index: Number(index), sizeBytes }
    await records.reservePart(upload.uploadId, part, PLENTY)
    await records.recordPart(upload.uploadId, part, upload.expiresAt)
  }
}

/** A complete media of `sizeBytes`, as the verbs make one. */
export async function completeMedia(
  records: RecordStore,
  sizeBytes: number,
  options: UploadOptions = {},
): Promise<MediaRecord> {
  const upload = await records.beginUpload(newUpload({ declaredBytes: sizeBytes, ...options }))
  return records.finishInOneStep(upload.uploadId, { sizeBytes, caps: PLENTY, now: NOW })
}

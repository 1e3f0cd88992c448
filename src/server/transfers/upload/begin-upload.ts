import { MAX_PART_INDEX, newId } from '../../../protocol/ids.ts'
import { PART_STEP_BYTES } from '../../../protocol/parts.ts'
import type { BeginUploadRequest, TransferMode, UploadBegun } from '../../../protocol/schemas.ts'
import { expiryOf, quotaCaps, type IdempotentCaller } from '../../access/caller.ts'
import type { Clock } from '../../clock.ts'
import type { UploadRecords } from '../../records/record-store.ts'
import type { UploadRecord } from '../../records/record-types.ts'
import type { DiskSpaceCheck } from './disk-space-check.ts'

export interface BeginUpload {
  readonly records: UploadRecords
  readonly clock: Clock
  readonly random: (byteCount: number) => Uint8Array
  readonly terms: () => UploadTerms
  readonly admitNewBytes: DiskSpaceCheck
}

export interface CreatedUpload {
  readonly upload: UploadRecord
  /** True when the idempotency key was used before: the upload made then. */
  readonly repeated: boolean
}

/**
 * Makes an upload and the lease its media will be known by, and reserves what was declared.
 * @throws quota_exceeded, too_many_pending, too_large, storage_full, invalid_request, idempotency_conflict
 */
export async function createUpload(
  { records, clock, random, terms, admitNewBytes }: BeginUpload,
  caller: IdempotentCaller,
  request: BeginUploadRequest,
): Promise<CreatedUpload> {
  await admitNewBytes(request.sizeBytes)
  const now = clock()
  const { partBytes, uploadExpiryMs } = terms()
  const uploadId = newId(random)
  const upload = await records.beginUpload({
    uploadId,
    blobId: newId(random),
    lease: {
      mediaId: newId(random),
      clientId: caller.client.clientId,
      ownerHash: caller.ownerHash,
      createdAt: now,
      expiresAt: expiryOf(caller.tier, request.ttlSeconds, now),
      maxDownloads: request.maxDownloads ?? null,
    },
    partBytes: partSize(partBytes, request),
    declaredBytes: request.sizeBytes ?? null,
    expiresAt: now + uploadExpiryMs,
    caps: quotaCaps(caller.tier, request.kind),
    idempotency: caller.idempotency,
  })
  return { upload, repeated: upload.uploadId !== uploadId }
}

/** The wish of the client, or as much more as it takes for every part of the declared size to have an index. */
function partSize(serverBytes: number, { partBytes = serverBytes, sizeBytes = 0 }: BeginUploadRequest): number {
  const leastBytes = Math.ceil(sizeBytes / (MAX_PART_INDEX + 1) / PART_STEP_BYTES) * PART_STEP_BYTES
  return Math.min(serverBytes, Math.max(wholeSteps(partBytes), leastBytes))
}

function wholeSteps(bytes: number): number {
  return bytes - (bytes % PART_STEP_BYTES)
}

export function describeBegun(upload: UploadRecord, transfer: TransferMode): UploadBegun {
  return {
    uploadId: upload.uploadId,
    mediaId: upload.mediaId,
    partBytes: upload.partBytes,
    expiresAt: new Date(upload.expiresAt).toISOString(),
    transfer,
  }
}

/** The numbers of the section `transfer` that uploads go by; read anew for each request, so that a reload applies. */
export interface UploadTerms {
  readonly partBytes: number
  readonly uploadExpiryMs: number
  readonly formMaxFiles: number
}

import { createHash } from 'node:crypto'

import { abortableSource } from '../../../common/abort-race.ts'
import { isSealiftError, SealiftError } from '../../../protocol/errors.ts'
import { type Caller, chargedTier, type Charging, quotaCaps, slotRequest } from '../../access/caller.ts'
import type { BlobStore } from '../../blobs/blob-store.ts'
import { assertPartFits } from '../../blobs/part-size.ts'
import { blobTopic, type ChangeFeed, partTopic, uploadTopic } from '../../change-feed/change-feed.ts'
import type { Clock } from '../../clock.ts'
import type { SlotLimiter } from '../../limits/limiter.ts'
import type { UploadRecords } from '../../records/record-store.ts'
import type { UploadRecord } from '../../records/record-types.ts'
import type { UploadTerms } from './begin-upload.ts'
import { type ReceivedBytes, verifyDigest } from './received-bytes.ts'
import { completedWithout, givenUp, type ExclusiveParts, PartWatch, takenOver } from './exclusive-part.ts'
import { findLiveUpload } from './find-upload.ts'

export interface PutPart extends Charging {
  readonly records: UploadRecords
  readonly blobs: BlobStore
  readonly feed: ChangeFeed
  readonly slots: SlotLimiter
  readonly inFlight: ExclusiveParts
  readonly clock: Clock
  readonly terms: () => UploadTerms
}

export interface IncomingPart {
  readonly uploadId: string
  readonly index: number
  readonly sizeBytes: number
  /** SHA-256 as base64, if the client sent it. */
  readonly sha256: string | null
  /** Not pulled from before every check has passed and a slot is held. */
  readonly source: ReceivedBytes
}

/**
 * Stores one part; resolves when it is durable. A part that is durable already is compared instead and never changes.
 * @throws not_found, gone, upload_complete, size_mismatch, too_large, quota_exceeded, too_many_pending,
 * too_many_uploads, digest_mismatch, part_conflict, storage_full
 */
export async function receivePart(
  deps: PutPart,
  caller: Caller,
  part: IncomingPart,
  signal: AbortSignal,
): Promise<void> {
  const upload = await findLiveUpload(deps.records, part.uploadId, caller)
  assertTakesPart(upload, part)
  using slot = await deps.slots.acquire(slotRequest(caller, 'upload'), signal)
  await deps.inFlight.exclusive(upload.uploadId, part.index, async takenOver => {
    const stop = AbortSignal.any([signal, slot.signal, takenOver])
    const { index, sizeBytes } = part
    const caps = { ...quotaCaps(chargedTier(deps, caller, upload.clientId)), maxBytes: upload.maxBytes }
    const durable = await deps.records.reservePart(upload.uploadId, { index, sizeBytes }, caps)
    const source = sourceOf(part)
    if (durable) await compare(deps, caller, { upload, part, source, storedBytes: durable.sizeBytes }, stop)
    else await store(deps, { upload, part, source }, stop)
  })
}

/** @throws upload_complete, size_mismatch, too_large */
export function assertTakesPart(
  { state, partBytes, declaredBytes }: UploadRecord,
  part: { readonly index: number; readonly sizeBytes: number },
): void {
  if (state !== 'uploading') {
    throw new SealiftError('upload_complete', 'The upload is complete and takes no part any more')
  }
  assertPartFits({ partBytes, totalBytes: declaredBytes }, part)
}

function sourceOf({ source, sha256 }: IncomingPart): ReceivedBytes {
  return sha256 === null ? source : verifyDigest(source, sha256)
}

interface ReservedPart {
  readonly upload: UploadRecord
  readonly part: IncomingPart
  readonly source: ReceivedBytes
}

/** [Note: bytes, then record] The record says durable only after the store does; then followers are woken. */
async function store(deps: PutPart, { upload, part, source }: ReservedPart, stop: AbortSignal): Promise<void> {
  const { blobId, partBytes } = upload
  const { index, sizeBytes } = part
  {
    using elsewhere = watchOthers(deps, upload, index)
    const address = { blobId, partBytes, index, sizeBytes }
    await deps.blobs.putPart(address, source, AbortSignal.any([stop, elsewhere.signal]))
  }
  const expiresAt = deps.clock() + deps.terms().uploadExpiryMs
  await deps.records.recordPart(upload.uploadId, { index, sizeBytes }, expiresAt)
  deps.feed.announce(blobTopic(blobId))
  deps.feed.announce(partTopic(upload.uploadId, index))
}

/** Aborts the request when another node supersedes it; within this one, `ExclusiveParts` does. */
function watchOthers({ feed, records }: PutPart, { uploadId, blobId }: UploadRecord, index: number): PartWatch {
  const why = async () => {
    const upload = await records.findUpload(uploadId)
    if (upload?.state !== 'uploading') return overWithout(upload)
    return (await records.findPart(blobId, index))?.durable ? takenOver() : null
  }
  return new PartWatch({ feed, topics: [partTopic(uploadId, index), uploadTopic(uploadId)], why })
}

function overWithout(upload: UploadRecord | null): SealiftError {
  return upload === null || upload.state === 'aborted' ? givenUp() : completedWithout()
}

interface PartToCompare extends ReservedPart {
  readonly storedBytes: number
}

/**
 * @throws part_conflict; what `assertStillTaken` throws: bytes deleted with their upload or media item are not damaged
 */
async function compare(deps: PutPart, caller: Caller, at: PartToCompare, stop: AbortSignal): Promise<void> {
  try {
    await compareStored(deps.blobs, at, stop)
  } catch (error) {
    if (isSealiftError(error, 'damaged')) await assertStillTaken(deps.records, caller, at.part)
    throw error
  }
}

/**
 * Throws when another node has given up or completed the upload since the request began.
 * @throws not_found, gone, upload_complete
 */
export async function assertStillTaken(
  records: UploadRecords,
  caller: Caller,
  part: { readonly uploadId: string; readonly index: number; readonly sizeBytes: number },
): Promise<void> {
  assertTakesPart(await findLiveUpload(records, part.uploadId, caller), part)
}

/** @throws part_conflict when the bytes differ from the stored ones */
async function compareStored(
  blobs: BlobStore,
  { upload, part, source, storedBytes }: PartToCompare,
  stop: AbortSignal,
): Promise<void> {
  const same =
    part.sizeBytes === storedBytes &&
    (await hashOf(abortableSource(source, stop))) === (await storedHash(blobs, upload, part, stop))
  if (same) return
  throw new SealiftError('part_conflict', `Part ${part.index} is stored with other bytes; a stored part never changes`)
}

async function hashOf(source: ReceivedBytes): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of source) hash.update(chunk)
  return hash.digest('hex')
}

async function storedHash(
  blobs: BlobStore,
  { blobId, partBytes }: UploadRecord,
  { index, sizeBytes }: IncomingPart,
  stop: AbortSignal,
): Promise<string> {
  const hash = createHash('sha256')
  const start = index * partBytes
  const sink = { write: (bytes: Uint8Array) => void hash.update(bytes) }
  await blobs.read({ blobId, partBytes }, { start, end: start + sizeBytes }, sink, stop)
  return hash.digest('hex')
}

import { isSealiftError, SealiftError } from '../../../protocol/errors.ts'
import type { BeginUploadRequest, Kind } from '../../../protocol/schemas.ts'
import type { BlobStore } from '../../blobs/blob-store.ts'
import { quotaCaps, type IdempotentCaller } from '../../access/caller.ts'
import { blobTopic } from '../../change-feed/change-feed.ts'
import type { MediaRecords, UploadRecords } from '../../records/record-store.ts'
import type { MediaRecord, QuotaCaps, UploadRecord } from '../../records/record-types.ts'
import { giveUp, type AbortUpload, finalizeBlob } from './end-upload.ts'
import { createUpload, type BeginUpload } from './begin-upload.ts'
import { RunCutter, verifyDigest, type ReceivedBytes } from './received-bytes.ts'

export interface StoreMediaDeps extends BeginUpload, AbortUpload {
  readonly records: UploadRecords & MediaRecords
  readonly blobs: BlobStore
}

export interface IncomingMedia extends Pick<BeginUploadRequest, 'ttlSeconds' | 'maxDownloads'> {
  readonly kind: Kind
  /** `null`: unknown, as in a form. */
  readonly sizeBytes: number | null
  /** Most bytes that can still arrive, by the length of the request; `null`: unknown. */
  readonly atMostBytes: () => number | null
  /** SHA-256 as base64, if the client sent it. */
  readonly sha256: string | null
  readonly source: ReceivedBytes
}

/** Up to this size a media item is buffered first, so that exactly its size is reserved. */
const SMALL_BYTES = 64 * 1024

/**
 * Stores a media item that arrives in one request; resolves when it is complete and durable. The caller holds a slot.
 * With an idempotency key, a repeated request returns the media item of the first one, or stores it again if that
 * failed.
 * @throws what begin, parts and complete throw; `invalid_request` for an empty media item
 */
export async function receiveMedia(
  deps: StoreMediaDeps,
  caller: IdempotentCaller,
  media: IncomingMedia,
  signal: AbortSignal,
): Promise<MediaRecord> {
  const cutter = new RunCutter(media.sha256 === null ? media.source : verifyDigest(media.source, media.sha256))
  const sized = media.sizeBytes === null ? await measureSmall(cutter, media) : media
  const upload = await beginAnew(deps, caller, requestOf(sized))
  if (upload.state === 'complete') return deps.records.finishUpload(upload.uploadId, deps.clock())
  const work = { upload, cutter, media: sized, caps: quotaCaps(caller.tier, media.kind) }
  return deps.inFlight.exclusive(upload.uploadId, 0, replaced =>
    storeOrGiveUp(deps, work, AbortSignal.any([signal, replaced])),
  )
}

/**
 * A new upload, or the complete one of an earlier request with the same key. An unfinished one is given up first: its
 * bytes may be in any state, and its request may still run and complete it now.
 */
async function beginAnew(
  deps: StoreMediaDeps,
  caller: IdempotentCaller,
  request: BeginUploadRequest,
): Promise<UploadRecord> {
  const { upload, repeated } = await createUpload(deps, caller, request)
  if (!repeated || upload.state === 'complete') return upload
  await giveUp(deps, upload).catch((error: unknown) => {
    if (!isSealiftError(error, 'upload_complete')) throw error
  })
  return (await createUpload(deps, caller, request)).upload
}

function requestOf({ kind, sizeBytes, ttlSeconds, maxDownloads }: IncomingMedia): BeginUploadRequest {
  return {
    kind,
    ...(sizeBytes === null ? {} : { sizeBytes }),
    ...(ttlSeconds === undefined ? {} : { ttlSeconds }),
    ...(maxDownloads === undefined ? {} : { maxDownloads }),
  }
}

/** Sets the size of a media item that fits into `SMALL_BYTES`. @throws invalid_request when it is empty */
async function measureSmall(cutter: RunCutter, media: IncomingMedia): Promise<IncomingMedia> {
  const sizeBytes = await cutter.lookAhead(SMALL_BYTES)
  if (sizeBytes === 0) throw new SealiftError('invalid_request', 'There are no bytes to store')
  return sizeBytes === null ? media : { ...media, sizeBytes }
}

interface MediaInFlight {
  readonly upload: UploadRecord
  readonly cutter: RunCutter
  readonly media: IncomingMedia
  readonly caps: QuotaCaps
}

async function storeOrGiveUp(deps: StoreMediaDeps, work: MediaInFlight, stop: AbortSignal): Promise<MediaRecord> {
  try {
    const sizeBytes = await storeRuns(deps, work, stop)
    await finalizeBlob(deps, work.upload, sizeBytes)
    const media = await deps.records.finishInOneStep(work.upload.uploadId, {
      sizeBytes,
      caps: work.caps,
      now: deps.clock(),
    })
    deps.feed.announce(blobTopic(media.blobId))
    return media
  } catch (error) {
    await releaseReservation(deps, work.upload)
    throw error
  }
}

/** Frees the reservation of a failed upload. Best effort: if it fails, the upload expires. */
async function releaseReservation(
  { records, clock, feed }: StoreMediaDeps,
  { uploadId, blobId }: UploadRecord,
): Promise<void> {
  await records.abortUpload(uploadId, clock()).catch(() => undefined)
  feed.announce(blobTopic(blobId))
}

/** Parts that may be in flight to the store while the next one arrives. */
const PARTS_IN_FLIGHT = 2

/** Stores the parts; the next one is received while the one before is being made durable. */
async function storeRuns(deps: StoreMediaDeps, work: MediaInFlight, stop: AbortSignal): Promise<number> {
  const { cutter, media } = work
  const inFlight = new Set<Promise<void>>()
  const failed = new AbortController()
  const halt = AbortSignal.any([stop, failed.signal])
  let storedBytes = 0
  try {
    for (let index = 0; await more(cutter, media.sizeBytes, storedBytes); index++) {
      while (inFlight.size >= PARTS_IN_FLIGHT) await Promise.race(inFlight)
      const { received, stored } = await startRun(deps, work, { index, storedBytes }, halt)
      const settled = stored.then(() => void inFlight.delete(settled))
      inFlight.add(settled)
      // Awaited below, also when the loop is left early.
      settled.catch(() => undefined)
      storedBytes += await Promise.race([received, stored])
    }
    await Promise.all(inFlight)
    return storedBytes
  } catch (error) {
    failed.abort(error)
    await Promise.allSettled(inFlight)
    throw error
  }
}

interface Run {
  /** Bytes of the part, once all of them have arrived. */
  readonly received: Promise<number>
  /** The same, once they are durable. */
  readonly stored: Promise<number>
}

async function startRun(
  { blobs, records }: StoreMediaDeps,
  { upload, cutter, media, caps }: MediaInFlight,
  { index, storedBytes }: { index: number; storedBytes: number },
  stop: AbortSignal,
): Promise<Run> {
  const { uploadId, blobId, partBytes } = upload
  const sizeBytes = media.sizeBytes === null ? null : Math.min(partBytes, media.sizeBytes - storedBytes)
  if (sizeBytes === null) {
    await records.reservePart(
      uploadId,
      { index, sizeBytes: Math.min(partBytes, media.atMostBytes() ?? partBytes) },
      caps,
    )
  }
  const { promise: received, resolve } = Promise.withResolvers<number>()
  const source = notifyEnd(cutter.run(sizeBytes ?? partBytes), resolve)
  return { received, stored: blobs.putPart({ blobId, partBytes, index, sizeBytes }, source, stop) }
}

async function* notifyEnd(run: ReceivedBytes, ended: (sizeBytes: number) => void): AsyncGenerator<Uint8Array> {
  let sizeBytes = 0
  for await (const chunk of run) {
    sizeBytes += chunk.length
    yield chunk
  }
  ended(sizeBytes)
}

async function more(cutter: RunCutter, sizeBytes: number | null, storedBytes: number): Promise<boolean> {
  if (sizeBytes !== null && storedBytes < sizeBytes) return true
  const another = await cutter.hasMore()
  if (another && sizeBytes !== null) throw new SealiftError('size_mismatch', 'More bytes arrived than were announced')
  return another
}

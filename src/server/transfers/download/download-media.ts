/**
 * Sends the bytes of a media item: a slot, the download count, then the blob's bytes into the response.
 *
 * A lease that ends during a download is not watched. A follower stops with `gone` at its next look at the records. A
 * complete blob in a file is read to its end, since the file stays open. From S3 the read fails when the objects are
 * deleted; the failure becomes `gone`, and the connection is cut.
 */
import { isSealiftError, SealiftError } from '../../../protocol/errors.ts'
import { resolveRange, type RangeSpec } from '../../../protocol/ranges.ts'
import { slotRequest, type Caller } from '../../access/caller.ts'
import type { BlobStore, BlobRange, ByteSink, CachedBytes, ReadsCached } from '../../blobs/blob-store.ts'
import type { RateLimiter, SlotLimiter, GrantsAtOnce, TransferSlot } from '../../limits/limiter.ts'
import { chargeFor, paceSink } from '../../limits/pacing.ts'
import type { CachesMedia, MediaRecords } from '../../records/record-store.ts'
import type { MediaRecord } from '../../records/record-types.ts'
import { followBytes, waitForByte, type FollowUpload } from './follow-upload.ts'
import { countDownload, openMedia, type CountDownload, type CountedDownload } from './open-media.ts'

export interface DownloadMedia extends FollowUpload, CountDownload {
  readonly records: MediaRecords & Partial<CachesMedia>
  readonly blobs: BlobStore & Partial<ReadsCached>
  readonly slots: SlotLimiter & Partial<GrantsAtOnce>
  readonly rates: RateLimiter
}

export interface DownloadRequest {
  readonly caller: Caller
  /** Its lease was alive a moment ago. */
  readonly media: MediaRecord
  /** `null`: all bytes. */
  readonly range: RangeSpec | null
  /** Of an earlier range of the same download. */
  readonly grant: string | undefined
}

/** What a download needs of the response that it fills. */
export interface DownloadResponse {
  /** Aborts when the client goes away. */
  readonly signal: AbortSignal
  /** Whether it can carry bytes whose number is unknown. */
  readonly takesUnknownLength: boolean
  /** Ends it from outside. */
  abort(reason: Error): void
  /** Suspends the idle timeout while no byte has moved yet; a stopping server gives the wait up. */
  whileQueued<T>(wait: Promise<T>): Promise<T>
  withoutIdleTimeout<T>(work: Promise<T>): Promise<T>
  /** @returns true when another program sends the bytes, and the response is complete */
  delegate(media: MediaRecord, counted: CountedDownload | null): boolean
  begin(plan: DownloadPlan, counted: CountedDownload | null): DownloadSink
}

/** Which bytes are sent, and how many of them, if that is known. */
export interface DownloadPlan {
  readonly media: MediaRecord
  /** `null`: all bytes. */
  readonly range: BlobRange | null
  readonly lengthBytes: number | null
}

export interface DownloadSink extends ByteSink {
  /** Whether a byte may have left. */
  readonly started: boolean
  /** Ends a response of unknown length. */
  end(): void
}

/** After a longer wait for a slot the lease is looked up again. */
const LONG_WAIT_MS = 20

/**
 * @throws range_not_satisfiable, downloads_exhausted, too_many_downloads, gone, upload_in_progress, size_mismatch,
 * damaged, unavailable
 */
export async function downloadMedia(
  deps: DownloadMedia,
  request: DownloadRequest,
  response: DownloadResponse,
): Promise<void> {
  const { media, range } = request
  assertSatisfiable(range, media)
  const askedAtMs = performance.now()
  using slot = tryAcquireSlot(deps, request) ?? (await acquireSlot(deps, request, response))
  if (!isShort(media)) endWithSlot(response, slot)
  if (performance.now() - askedAtMs > LONG_WAIT_MS) await openMedia(deps.records, media.mediaId, deps.clock())
  await deliver(deps, request, response)
}

/** A download of so few bytes is over, or cut as too slow, before revoking its slot could matter. */
const SHORT_BYTES = 256 * 1024

function isShort({ state, sizeBytes }: MediaRecord): boolean {
  return state === 'complete' && sizeBytes !== null && sizeBytes <= SHORT_BYTES
}

function endWithSlot(response: DownloadResponse, { signal }: TransferSlot): void {
  signal.addEventListener('abort', () => response.abort(signal.reason as Error), { once: true })
}

/** A free slot for a short download, without a request to another node. */
function tryAcquireSlot({ slots }: DownloadMedia, { caller, media }: DownloadRequest): TransferSlot | null {
  return (isShort(media) && slots.tryAcquire?.(slotRequest(caller, 'download'))) || null
}

function acquireSlot(
  { slots }: DownloadMedia,
  { caller, media }: DownloadRequest,
  response: DownloadResponse,
): Promise<TransferSlot> {
  const { credential, ...request } = slotRequest(caller, 'download')
  if (isShort(media) && slots.looksFree(request)) return slots.acquire(request, response.signal)
  return response.whileQueued(slots.acquire({ ...request, credential }, response.signal))
}

async function deliver(deps: DownloadMedia, request: DownloadRequest, response: DownloadResponse): Promise<void> {
  const { media, grant } = request
  const counted = media.maxDownloads === null ? null : await countDownload(deps, media, grant)
  if (response.delegate(media, counted)) return
  let sink: DownloadSink | null = null
  try {
    const planning = planOf(deps, request, response)
    const plan = planning instanceof Promise ? await planning : planning
    sink = response.begin(plan, counted)
    await copyPaced(deps, request.caller, plan, { sink, response })
  } catch (error) {
    if (counted && !sink?.started) await counted.giveBack()
    // Bytes that were deleted because the lease ended are not damaged: then this throws `gone`.
    if (isSealiftError(error, 'damaged')) await openMedia(deps.records, media.mediaId, deps.clock())
    throw error
  }
}

/** Synchronous when the size is known: a turn of the event loop is saved. */
function planOf(
  deps: DownloadMedia,
  { media, range }: DownloadRequest,
  response: DownloadResponse,
): DownloadPlan | Promise<DownloadPlan> {
  if (media.sizeBytes === null) return planUnknown(deps, media, range, response)
  const bytes = range && resolveRange(range, media.sizeBytes)
  return { media, range: bytes, lengthBytes: bytes ? bytes.end - bytes.start : media.sizeBytes }
}

/** The size is unknown: a range gets those of its bytes that are durable, at least one. */
async function planUnknown(
  deps: DownloadMedia,
  media: MediaRecord,
  range: RangeSpec | null,
  response: DownloadResponse,
): Promise<DownloadPlan> {
  if (range === null || 'suffixBytes' in range) {
    if (response.takesUnknownLength) return { media, range: null, lengthBytes: null }
    throw new SealiftError('upload_in_progress', 'This media still grows; HTTP/1.1 is needed to follow it')
  }
  if (!Number.isSafeInteger(range.first)) {
    throw new SealiftError('range_not_satisfiable', 'No media can have so many bytes')
  }
  const progress = await response.whileQueued(waitForByte(deps, media, range.first, response.signal))
  assertSatisfiable(range, progress.media)
  const end = range.last === null ? progress.durableBytes : Math.min(progress.durableBytes, range.last + 1)
  return { media: progress.media, range: { start: range.first, end }, lengthBytes: end - range.first }
}

interface Target {
  readonly sink: DownloadSink
  readonly response: DownloadResponse
}

/** The byte rate of a client may pause it for longer than the idle timeout. */
function copyPaced(deps: DownloadMedia, { client, tier }: Caller, plan: DownloadPlan, target: Target): Promise<void> {
  const { sink, response } = target
  const charge = chargeFor(deps.rates, { clientId: client.clientId, tier, direction: 'download' })
  if (charge === null) return copy(deps, plan, target, sink)
  return response.withoutIdleTimeout(copy(deps, plan, target, paceSink(sink, charge, response.signal)))
}

/** @param bytes the sink, or what slows it down */
function copy(deps: DownloadMedia, plan: DownloadPlan, target: Target, bytes: ByteSink): Promise<void> {
  const { media, range, lengthBytes } = plan
  if (media.state !== 'complete' || lengthBytes === null) return follow(deps, plan, target, bytes)
  const start = range?.start ?? 0
  const end = start + lengthBytes
  const cached = deps.blobs.tryReadCached?.(media.blobId, { start, end })
  if (cached) return sendCached(cached, bytes)
  return deps.blobs.read(media, { start, end }, bytes, target.response.signal)
}

/** The sink rejects when the response ends, so no signal is needed. */
async function sendCached(cached: CachedBytes, sink: ByteSink): Promise<void> {
  try {
    await sink.write(cached.bytes)
  } catch (error) {
    cached.discard()
    throw error
  }
  cached.release()
}

async function follow(deps: DownloadMedia, plan: DownloadPlan, target: Target, bytes: ByteSink): Promise<void> {
  const { media, range, lengthBytes } = plan
  const { sink, response } = target
  const start = range?.start ?? 0
  const end = lengthBytes === null ? null : start + lengthBytes
  const following = followBytes(deps, media, { start, end, sink: bytes }, response.signal)
  const reached = await response.withoutIdleTimeout(following)
  if (end === null) sink.end()
  else if (reached < end) throw new SealiftError('size_mismatch', 'The upload ended with fewer bytes than it declared')
}

/** @throws range_not_satisfiable */
function assertSatisfiable(range: RangeSpec | null, { sizeBytes }: MediaRecord): void {
  if (range === null || sizeBytes === null || resolveRange(range, sizeBytes)) return
  throw new SealiftError('range_not_satisfiable', `This media has ${sizeBytes} bytes`, { context: { sizeBytes } })
}

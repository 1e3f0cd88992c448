/** GET and HEAD of a media: the hot path. No framework, no closures per chunk, headers and first bytes in one write. */
import { isSealiftError, SealiftError } from '../../protocol/errors.ts'
import { formatContentRange, HEADER } from '../../protocol/headers.ts'
import { parseRange, type RangeSpec, resolveRange } from '../../protocol/ranges.ts'
import { type Caller, slotRequest } from '../access/caller.ts'
import type { BlobStore, ByteRange, ByteSink, CachedBytes, ReadsCached } from '../blobs/blob-store.ts'
import type { RateLimiter, SlotLimiter, TakesAtOnce, TransferSlot } from '../limits/limiter.ts'
import { chargeFor, paceSink } from '../limits/pacing.ts'
import type { CachesMedia, MediaRecord, MediaRecords } from '../records/record-store.ts'
import { etagOf } from '../transfers/download/describe-media.ts'
import { followBytes, type FollowUpload, waitForByte } from '../transfers/download/follow-upload.ts'
import {
  cachedMedia,
  countDownload,
  type CountDownload,
  type CountedDownload,
  openMedia,
} from '../transfers/download/open-media.ts'
import { type Accelerate, sendAccelerated } from './accelerate.ts'
import { allowsRange, matchesNone } from './conditions.ts'
import type { Exchange } from './exchange.ts'
import { ResponseSink } from './response-sink.ts'
import { OPAQUE_HEADERS, sendEmpty } from './responses.ts'
import type { Pace, StallWatch } from './stall-watch.ts'

export interface ReadMedia extends FollowUpload, CountDownload {
  readonly records: MediaRecords & Partial<CachesMedia>
  readonly blobs: BlobStore & Partial<ReadsCached>
  readonly slots: SlotLimiter & Partial<TakesAtOnce>
  readonly watch: StallWatch
  readonly pace: () => Pace
  readonly rates: RateLimiter
  /** True when the id alone is the right to read: then the client may keep the bytes. */
  readonly capability: () => boolean
  readonly accelerate: Accelerate
}

const LONG_WAIT_MS = 20

export async function getMedia(deps: ReadMedia, exchange: Exchange, caller: Caller, mediaId: string): Promise<void> {
  const now = deps.clock()
  const media = cachedMedia(deps.records, mediaId, now) ?? (await openMedia(deps.records, mediaId, now))
  const etag = etagOf(media.blobId)
  const { headers } = exchange.req
  if (matchesNone(headers['if-none-match'], etag)) {
    return sendEmpty(exchange, 304, ['ETag', etag, ...cacheHeaders(deps, media)])
  }
  const range = allowsRange(single(headers['if-range']), etag) ? parseRange(headers.range) : null
  assertSatisfiable(range, media)
  const askedAtMs = performance.now()
  using slot = takeFree(deps, caller, media) ?? (await takeSlot(deps, exchange, caller, media))
  if (!isShort(media)) endWithSlot(exchange, slot)
  // Much can happen to a lease while its reader stands in line.
  if (performance.now() - askedAtMs > LONG_WAIT_MS) await openMedia(deps.records, mediaId, deps.clock())
  await deliver(deps, { exchange, caller, range, etag, media })
}

/** Not worth ending when the right to it is taken away: it is over in a moment, or cut as too slow. */
const SHORT_BYTES = 256 * 1024

function isShort({ state, sizeBytes }: MediaRecord): boolean {
  return state === 'complete' && sizeBytes !== null && sizeBytes <= SHORT_BYTES
}

/** A slot that is taken away ends the transfer that holds it. */
function endWithSlot(exchange: Exchange, { signal }: TransferSlot): void {
  signal.addEventListener('abort', () => exchange.abort(signal.reason as Error), { once: true })
}

/** The headers of GET for the whole media (RFC 9110 defines ranges for GET alone); waits for nothing, counts nothing. */
export async function headMedia(deps: ReadMedia, exchange: Exchange, mediaId: string): Promise<void> {
  const media = await openMedia(deps.records, mediaId, deps.clock())
  const etag = etagOf(media.blobId)
  if (matchesNone(exchange.req.headers['if-none-match'], etag)) return sendEmpty(exchange, 304, ['ETag', etag])
  assertNotExhausted(media)
  exchange.res.writeHead(200, mediaHeaders(deps, exchange, { media, etag, range: null, counted: null }))
  exchange.res.end()
}

/** A short transfer takes a slot that is free without asking around. */
function takeFree({ slots }: ReadMedia, caller: Caller, media: MediaRecord): TransferSlot | null {
  return (isShort(media) && slots.tryAcquire?.(slotRequest(caller, 'download'))) || null
}

/** Waiting in line for a slot is not idling. */
function takeSlot({ slots }: ReadMedia, exchange: Exchange, caller: Caller, media: MediaRecord): Promise<TransferSlot> {
  const { credential, ...request } = slotRequest(caller, 'download')
  if (isShort(media) && slots.looksFree(request)) return slots.acquire(request, exchange.signal)
  return exchange.whileQueued(slots.acquire({ ...request, credential }, exchange.signal))
}

interface Delivery {
  readonly exchange: Exchange
  readonly caller: Caller
  readonly range: RangeSpec | null
  readonly etag: string
  readonly media: MediaRecord
}

async function deliver(deps: ReadMedia, delivery: Delivery): Promise<void> {
  const { exchange, etag, media } = delivery
  const counted = media.maxDownloads === null ? null : await countDownload(deps, media, grantOf(exchange))
  const location = deps.accelerate(exchange, media)
  if (location !== null) {
    return sendAccelerated(exchange, location, delivery.caller.tier, stateHeaders(deps, { etag, media, counted }))
  }
  let sink: ResponseSink | null = null
  try {
    const planning = planOf(deps, delivery)
    const plan = planning instanceof Promise ? await planning : planning
    sink = new ResponseSink({
      exchange,
      watch: deps.watch,
      pace: deps.pace(),
      status: plan.range ? 206 : 200,
      headers: mediaHeaders(deps, exchange, { ...plan, etag, counted }),
      lengthBytes: plan.lengthBytes,
    })
    exchange.sink = sink
    await copyPaced(deps, delivery, plan, sink)
  } catch (error) {
    if (counted && !sink?.started) await counted.giveBack()
    // Bytes that went because the media ended meanwhile are not damaged: then this says that it has.
    if (isSealiftError(error, 'damaged')) await openMedia(deps.records, media.mediaId, deps.clock())
    throw error
  }
}

/** What will be answered: which bytes, and how many, if that is known. */
interface Plan {
  readonly media: MediaRecord
  /** `null`: all of it. */
  readonly range: ByteRange | null
  readonly lengthBytes: number | null
}

/** A turn of the event loop is spent only where something has to be waited for. */
function planOf(deps: ReadMedia, { exchange, media, range }: Delivery): Plan | Promise<Plan> {
  if (media.sizeBytes === null) return planUnknown(deps, exchange, media, range)
  const bytes = range && resolveRange(range, media.sizeBytes)
  return { media, range: bytes, lengthBytes: bytes ? bytes.end - bytes.start : media.sizeBytes }
}

/** A media whose size nobody knows yet: a range gets what is durable of it by now, at least one byte. */
async function planUnknown(
  deps: ReadMedia,
  exchange: Exchange,
  media: MediaRecord,
  range: RangeSpec | null,
): Promise<Plan> {
  if (range === null || 'suffixBytes' in range) {
    assertChunkable(exchange)
    return { media, range: null, lengthBytes: null }
  }
  if (!Number.isSafeInteger(range.first)) {
    throw new SealiftError('range_not_satisfiable', 'No media can have so many bytes')
  }
  const progress = await exchange.whileQueued(waitForByte(deps, media, range.first, exchange.signal))
  assertSatisfiable(range, progress.media)
  const until = range.last === null ? progress.durableBytes : Math.min(progress.durableBytes, range.last + 1)
  return {
    media: progress.media,
    range: { start: range.first, end: until },
    lengthBytes: until - range.first,
  }
}

/** A client's rate may pause it for longer than a connection may stand still. */
function copyPaced(deps: ReadMedia, { exchange, caller }: Delivery, plan: Plan, sink: ResponseSink): Promise<void> {
  const { client, tier } = caller
  const charge = chargeFor(deps.rates, { clientId: client.clientId, tier, direction: 'download' })
  if (charge === null) return copy(deps, exchange, plan, { sink, bytes: sink })
  return exchange.withoutIdleTimeout(
    copy(deps, exchange, plan, { sink, bytes: paceSink(sink, charge, exchange.signal) }),
  )
}

interface Target {
  readonly sink: ResponseSink
  /** The sink, or what slows it down. */
  readonly bytes: ByteSink
}

function copy(deps: ReadMedia, exchange: Exchange, plan: Plan, to: Target): Promise<void> {
  const { media, range, lengthBytes } = plan
  if (media.state !== 'complete' || lengthBytes === null) return follow(deps, exchange, plan, to)
  const start = range?.start ?? 0
  const bytes = { start, end: start + lengthBytes }
  const found = deps.blobs.tryReadCached?.(media.blobId, bytes)
  return found ? handOver(found, to.bytes) : deps.blobs.read(media, bytes, to.bytes, exchange.signal)
}

/** The sink ends with the exchange, so nothing has to be listened for. */
async function handOver(found: CachedBytes, sink: ByteSink): Promise<void> {
  try {
    await sink.write(found.bytes)
  } catch (error) {
    found.discard()
    throw error
  }
  found.release()
}

async function follow(deps: ReadMedia, exchange: Exchange, plan: Plan, { sink, bytes }: Target): Promise<void> {
  const { media, range, lengthBytes } = plan
  const start = range?.start ?? 0
  const end = lengthBytes === null ? null : start + lengthBytes
  const reached = await exchange.withoutIdleTimeout(
    followBytes(deps, media, { start, end, sink: bytes }, exchange.signal),
  )
  if (end === null) sink.end()
  else if (reached < end) throw new SealiftError('size_mismatch', 'The upload ended with fewer bytes than it declared')
}

function grantOf({ req }: Exchange): string | undefined {
  return single(req.headers[HEADER.download])
}

function single(header: string | string[] | undefined): string | undefined {
  return typeof header === 'string' ? header : undefined
}

/** HTTP/1.0 has no way to tell the end of an answer of unknown length from a cut. @throws upload_in_progress */
function assertChunkable({ req }: Exchange): void {
  if (req.httpVersionMajor > 1 || req.httpVersionMinor > 0) return
  throw new SealiftError('upload_in_progress', 'This media still grows; HTTP/1.1 is needed to follow it')
}

function assertNotExhausted({ maxDownloads, downloadsUsed }: MediaRecord): void {
  if (maxDownloads === null || downloadsUsed < maxDownloads) return
  throw new SealiftError('downloads_exhausted', 'All downloads of this media have been used')
}

/** @throws range_not_satisfiable */
function assertSatisfiable(range: RangeSpec | null, { sizeBytes }: MediaRecord): void {
  if (range === null || sizeBytes === null || resolveRange(range, sizeBytes)) return
  throw new SealiftError('range_not_satisfiable', `This media has ${sizeBytes} bytes`, { context: { sizeBytes } })
}

interface MediaAnswer {
  readonly media: MediaRecord
  readonly etag: string
  readonly range: ByteRange | null
  readonly counted: CountedDownload | null
}

function mediaHeaders(deps: ReadMedia, exchange: Exchange, { media, etag, range, counted }: MediaAnswer): string[] {
  const headers = exchange.headers('Accept-Ranges', 'bytes', ...OPAQUE_HEADERS)
  headers.push(...stateHeaders(deps, { media, etag, counted }))
  const lengthBytes = range ? range.end - range.start : media.sizeBytes
  if (lengthBytes !== null) headers.push('Content-Length', String(lengthBytes))
  if (range) {
    const content = formatContentRange({ start: range.start, end: range.end - 1, size: media.sizeBytes })
    headers.push('Content-Range', content)
  }
  return headers
}

/** What every answer with bytes of a media says, whoever sends them. */
function stateHeaders(deps: ReadMedia, { media, etag, counted }: Omit<MediaAnswer, 'range'>): string[] {
  const headers = ['ETag', etag, 'Sealift-State', media.state, ...cacheHeaders(deps, media)]
  if (counted) headers.push('Sealift-Download', counted.grantId)
  return headers
}

const LONGEST_CACHE_SECONDS = 86_400

/**
 * [Note: caching] Bytes never change, but the right to them may end. Only where the id alone is the right, and nothing
 * is counted, may the client's own cache keep them, and no longer than the lease; a shared cache never.
 */
function cacheHeaders({ capability, clock }: ReadMedia, media: MediaRecord): [string, string] {
  if (!capability() || media.maxDownloads !== null || media.state !== 'complete') {
    return ['Cache-Control', 'private, no-store']
  }
  const seconds = Math.min(LONGEST_CACHE_SECONDS, Math.max(0, Math.floor((media.expiresAt - clock()) / 1000)))
  return ['Cache-Control', `private, max-age=${seconds}, immutable`]
}

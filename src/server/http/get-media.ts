/** GET and HEAD of a media item, as HTTP: conditions, ranges, headers. `download-media.ts` sends the bytes. */
import { SealiftError } from '../../protocol/errors.ts'
import { formatContentRange, HEADER } from '../../protocol/headers.ts'
import { parseRange } from '../../protocol/ranges.ts'
import type { TierLimits } from '../../protocol/schemas.ts'
import type { Caller } from '../access/caller.ts'
import type { BlobRange, LocatesFiles } from '../blobs/blob-store.ts'
import type { ServerConfig } from '../config/config-schema.ts'
import type { MediaRecord } from '../records/record-types.ts'
import { etagOf } from '../transfers/download/describe-media.ts'
import {
  downloadMedia,
  type DownloadMedia,
  type DownloadPlan,
  type DownloadResponse,
} from '../transfers/download/download-media.ts'
import { cachedMedia, type CountedDownload, openMedia } from '../transfers/download/open-media.ts'
import { allowsRange, matchesNone } from './conditions.ts'
import type { Exchange } from './exchange.ts'
import { ResponseSink } from './response-sink.ts'
import { OPAQUE_HEADERS, sendEmpty } from './responses.ts'
import type { Pace, StallWatch } from './stall-watch.ts'

export interface GetMedia extends DownloadMedia {
  readonly watch: StallWatch
  readonly pace: () => Pace
  /** True when the media id is the only credential: then the client's own cache may store the bytes. */
  readonly capability: () => boolean
  readonly accelerate: Accelerate
}

export async function getMedia(deps: GetMedia, exchange: Exchange, caller: Caller, mediaId: string): Promise<void> {
  const now = deps.clock()
  const media = cachedMedia(deps.records, mediaId, now) ?? (await openMedia(deps.records, mediaId, now))
  const etag = etagOf(media.blobId)
  const { headers } = exchange.req
  if (matchesNone(headers['if-none-match'], etag)) {
    return sendEmpty(exchange, 304, ['ETag', etag, ...cacheHeaders(deps, media)])
  }
  const range = allowsRange(single(headers['if-range']), etag) ? parseRange(headers.range) : null
  const request = { caller, media, range, grant: single(headers[HEADER.download]) }
  await downloadMedia(deps, request, new MediaResponse(deps, exchange, caller))
}

/** The headers of GET for the complete media item (RFC 9110 defines ranges for GET alone); it counts no download. */
export async function headMedia(deps: GetMedia, exchange: Exchange, mediaId: string): Promise<void> {
  const media = await openMedia(deps.records, mediaId, deps.clock())
  const etag = etagOf(media.blobId)
  if (matchesNone(exchange.req.headers['if-none-match'], etag)) return sendEmpty(exchange, 304, ['ETag', etag])
  assertNotExhausted(media)
  exchange.res.writeHead(200, mediaHeaders(deps, exchange, { media, range: null }, null))
  exchange.res.end()
}

class MediaResponse implements DownloadResponse {
  readonly #deps: GetMedia
  readonly #exchange: Exchange
  readonly #caller: Caller

  constructor(deps: GetMedia, exchange: Exchange, caller: Caller) {
    this.#deps = deps
    this.#exchange = exchange
    this.#caller = caller
  }

  get signal(): AbortSignal {
    return this.#exchange.signal
  }

  /** HTTP/1.0 cannot tell the end of a response of unknown length from a cut. */
  get takesUnknownLength(): boolean {
    const { httpVersionMajor, httpVersionMinor } = this.#exchange.req
    return httpVersionMajor > 1 || httpVersionMinor > 0
  }

  abort(reason: Error): void {
    this.#exchange.abort(reason)
  }

  whileQueued<T>(wait: Promise<T>): Promise<T> {
    return this.#exchange.whileQueued(wait)
  }

  withoutIdleTimeout<T>(work: Promise<T>): Promise<T> {
    return this.#exchange.withoutIdleTimeout(work)
  }

  delegate(media: MediaRecord, counted: CountedDownload | null): boolean {
    const location = this.#deps.accelerate(this.#exchange, media)
    if (location === null) return false
    sendAccelerated(this.#exchange, location, this.#caller.tier, stateHeaders(this.#deps, media, counted))
    return true
  }

  begin(plan: DownloadPlan, counted: CountedDownload | null): ResponseSink {
    const sink = new ResponseSink({
      exchange: this.#exchange,
      watch: this.#deps.watch,
      pace: this.#deps.pace(),
      status: plan.range ? 206 : 200,
      headers: mediaHeaders(this.#deps, this.#exchange, plan, counted),
      lengthBytes: plan.lengthBytes,
    })
    this.#exchange.sink = sink
    return sink
  }
}

function single(header: string | string[] | undefined): string | undefined {
  return typeof header === 'string' ? header : undefined
}

function assertNotExhausted({ maxDownloads, downloadsUsed }: MediaRecord): void {
  if (maxDownloads === null || downloadsUsed < maxDownloads) return
  throw new SealiftError('downloads_exhausted', 'All downloads of this media have been used')
}

function mediaHeaders(
  deps: GetMedia,
  exchange: Exchange,
  { media, range }: { readonly media: MediaRecord; readonly range: BlobRange | null },
  counted: CountedDownload | null,
): string[] {
  const headers = exchange.headers('Accept-Ranges', 'bytes', ...OPAQUE_HEADERS)
  headers.push(...stateHeaders(deps, media, counted))
  const lengthBytes = range ? range.end - range.start : media.sizeBytes
  if (lengthBytes !== null) headers.push('Content-Length', String(lengthBytes))
  if (range) {
    const content = formatContentRange({ start: range.start, end: range.end - 1, size: media.sizeBytes })
    headers.push('Content-Range', content)
  }
  return headers
}

/** What every response with bytes of a media item says, whichever program sends them. */
function stateHeaders(deps: GetMedia, media: MediaRecord, counted: CountedDownload | null): string[] {
  const headers = ['ETag', etagOf(media.blobId), 'Sealift-State', media.state, ...cacheHeaders(deps, media)]
  if (counted) headers.push('Sealift-Download', counted.grantId)
  return headers
}

const LONGEST_CACHE_SECONDS = 86_400

/**
 * [Note: caching] Bytes never change, but the permission to read them may end. Only where the media id is the only
 * credential, and no downloads are counted, may the client's own cache store them, at most until the lease expires. A
 * shared cache never may.
 */
function cacheHeaders({ capability, clock }: GetMedia, media: MediaRecord): [string, string] {
  if (!capability() || media.maxDownloads !== null || media.state !== 'complete') {
    return ['Cache-Control', 'private, no-store']
  }
  const seconds = Math.min(LONGEST_CACHE_SECONDS, Math.max(0, Math.floor((media.expiresAt - clock()) / 1000)))
  return ['Cache-Control', `private, max-age=${seconds}, immutable`]
}

export interface AccelerateOptions {
  readonly blobs: Partial<LocatesFiles>
  readonly settings: () => Pick<ServerConfig['storage'], 'accelerate' | 'accelerateLocation'>
  readonly isTrustedProxy: (address: string) => boolean
}

/** The internal location of the file for nginx; `null`: this server sends the bytes. */
export type Accelerate = (exchange: Exchange, media: MediaRecord) => string | null

/** A trusted proxy that acts on `X-Accel-Redirect` sends this header with the value `x-accel-redirect`. */
const ACCELERATE_HEADER = 'sealift-accelerate'

/**
 * Only a trusted proxy that sends the header gets such a response, which is empty for other clients. The IP address
 * is not enough: other clients and proxies may run on the same machine. nginx generates its own `ETag`, so this
 * server handles requests that compare with ours (`If-Range`).
 */
export function createAccelerate({ blobs, settings, isTrustedProxy }: AccelerateOptions): Accelerate {
  return ({ req }, media) => {
    const { accelerate, accelerateLocation } = settings()
    if (accelerate === 'off' || media.state !== 'complete' || !blobs.fileOf) return null
    if (req.headers['if-range'] !== undefined || req.headers[ACCELERATE_HEADER] !== accelerate) return null
    if (!isTrustedProxy(req.socket.remoteAddress ?? '')) return null
    return accelerateLocation + blobs.fileOf(media.blobId)
  }
}

/** Sends the location of the file. nginx handles `Range` itself and passes `headers` on. */
export function sendAccelerated(
  exchange: Exchange,
  location: string,
  tier: Pick<TierLimits, 'downloadBytesPerSecond'>,
  headers: readonly string[],
): void {
  const rate = tier.downloadBytesPerSecond
  const pace = rate > 0 ? ['X-Accel-Limit-Rate', String(rate)] : []
  const redirect = ['X-Accel-Redirect', location, 'Content-Length', '0']
  exchange.res.writeHead(200, exchange.headers(...redirect, ...pace, ...OPAQUE_HEADERS, ...headers))
  exchange.res.end()
}

import { HEADER, parseContentRange } from '../../protocol/headers.ts'
import { routePath } from '../../protocol/paths.ts'
import type { StoreDownload } from '../direct/store-download.ts'
import type { DownloadResume } from '../api/source-and-sink.ts'
import type { TransportResponse } from '../transport/transport.ts'
import { notUnderstood } from '../wire/http.ts'
import type { Server } from '../wire/http.ts'
import { damagedMedia } from '../manifest/media-errors.ts'

/** A followed download may be silent for as long as the sender needs for a part. */
const SENDING_STALL_MS = 180_000

export interface MediaSourceOptions {
  readonly server: Server
  readonly mediaId: string
  /** As the manifest says; `null` while it is not known. */
  readonly sealedBytes: number | null
  readonly sending: boolean
  /** Whether its bytes may be fetched from the store behind the server. */
  readonly direct?: boolean
  /** The server's name for a download that is gone on with. */
  readonly grant?: string | undefined
  readonly onGrant?: ((grant: string) => void | Promise<void>) | undefined
}

export interface MediaRange {
  readonly body: AsyncIterable<Uint8Array>
  /** First sealed byte, inclusive; past the last one. */
  readonly start: number
  readonly end: number
  /** Length of the whole media, `null` while it is not known. */
  readonly totalBytes: number | null
}

/** The grant by which the server recognizes a resumed download. */
export function grantOf(resume: DownloadResume | undefined): Pick<MediaSourceOptions, 'grant' | 'onGrant'> {
  return { grant: resume?.grant, onGrant: resume?.onGrant?.bind(resume) }
}

/**
 * Reads ranges of one media item on the server, all within one counted download. Close it when nothing is read any
 * more.
 */
export class MediaSource {
  readonly server: Server
  readonly sending: boolean
  readonly #options: MediaSourceOptions
  /** Absent until the first read. */
  #direct?: Promise<StoreDownload | null>
  #grant: string | null

  constructor(options: MediaSourceOptions) {
    this.server = options.server
    this.sending = options.sending
    this.#options = options
    this.#grant = options.grant ?? null
  }

  async close(): Promise<void> {
    const direct = await this.#direct
    await direct?.close()
  }

  /**
   * One attempt at sealed bytes `start` to `end`; fewer may come while the length is not known.
   * The first request of a media item must be complete before others are sent: its response holds the grant.
   */
  async read(start: number, end: number, signal: AbortSignal): Promise<MediaRange> {
    this.#direct ??= this.#directMedia()
    const direct = await this.#direct
    const body = await direct?.read(start, end, signal)
    return body
      ? { body, start, end, totalBytes: this.#options.sealedBytes }
      : this.#readThroughServer(start, end, signal)
  }

  async #readThroughServer(start: number, end: number, signal: AbortSignal): Promise<MediaRange> {
    const response = await this.server.attempt({
      method: 'GET',
      path: routePath('readMedia', { mediaId: this.#options.mediaId }),
      headers: { range: `bytes=${start}-${end - 1}`, ...this.#grantHeader() },
      signal,
      ...(this.sending && { stallTimeoutMs: SENDING_STALL_MS }),
    })
    try {
      await this.#keepGrant(response)
      return this.#checked(response, start, end)
    } catch (error) {
      await response.discard()
      throw error
    }
  }

  async #directMedia(): Promise<StoreDownload | null> {
    const { server, mediaId, sealedBytes, sending, direct = false } = this.#options
    const { store } = server
    if (!direct || !store || sending || sealedBytes === null) return null
    // Loaded when it is needed; a page that cannot load it reads through the server.
    const loaded = await import('../direct/store-download.ts').catch(() => null)
    if (!loaded) return null
    return loaded.readDirectly({
      server,
      store,
      mediaId,
      sealedBytes,
      headers: () => this.#grantHeader(),
      onResponse: response => this.#keepGrant(response),
    })
  }

  #grantHeader(): Record<string, string | undefined> {
    return { [HEADER.download]: this.#grant ?? undefined }
  }

  async #keepGrant(response: TransportResponse): Promise<void> {
    const grant = response.header(HEADER.download)
    if (grant === null || grant === this.#grant) return
    this.#grant = grant
    await this.#options.onGrant?.(grant)
  }

  #checked(response: TransportResponse, start: number, end: number): MediaRange {
    const range = rangeOfResponse(response)
    if (!range || range.start !== start) throw notUnderstood()
    const expected = this.#options.sealedBytes
    if (expected !== null && range.totalBytes !== null && range.totalBytes !== expected) throw damagedMedia()
    const isShort = range.end < end && !(expected === null && range.end > start)
    if (isShort || (response.status === 206 && range.end > end)) throw notUnderstood()
    const cut = Math.min(range.end, end)
    // Where the length is known, readers take no more than they need.
    return { ...range, end: cut, body: expected === null ? firstBytes(response.body, cut - start) : response.body }
  }
}

/** No more than requested, because the bytes are held in memory before they can be authenticated. */
async function* firstBytes(body: AsyncIterable<Uint8Array>, bytes: number): AsyncGenerator<Uint8Array> {
  let left = bytes
  for await (const piece of body) {
    yield piece.subarray(0, left)
    left -= piece.byteLength
    if (left <= 0) return
  }
}

type ResponseRange = Omit<MediaRange, 'body'>

function rangeOfResponse(response: TransportResponse): ResponseRange | null {
  const length = Number(response.header('content-length') ?? Number.NaN)
  if (response.status === 200)
    return Number.isSafeInteger(length) ? { start: 0, end: length, totalBytes: length } : null
  const range = response.status === 206 ? parseContentRange(response.header('content-range') ?? '') : null
  return range && { start: range.start, end: range.end + 1, totalBytes: range.size }
}

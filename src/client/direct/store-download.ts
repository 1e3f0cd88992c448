import { isSealiftError, SealiftError } from '../../protocol/errors.ts'
import { parseContentRange } from '../../protocol/headers.ts'
import type { TransportResponse } from '../transport/transport.ts'
import { requestReadUrls, type ReadUrlsRequest } from '../wire/direct.ts'
import type { Server } from '../wire/http.ts'
import { MediaUrls, piecesOf } from './media-urls.ts'
import type { HeldMediaUrl, MediaUrlsOptions, PartPiece } from './media-urls.ts'
import type { StoreConnection, StoreFailure } from '../transport/store-connection.ts'

/** A part that failed so often at the store is fetched through the server. */
const FAILURES_PER_PART = 2
/** New presigned URLs for one piece, when the store refuses them. */
const REFUSALS = 2

export interface StoreDownloadOptions extends MediaUrlsOptions {
  readonly store: StoreConnection
}

/** Reads a complete media item from the store behind the server. */
export class StoreDownload {
  readonly #store: StoreConnection
  readonly #sealedBytes: number
  readonly #urls: MediaUrls
  readonly #failures = new Map<number, number>()
  #off = false

  constructor(options: StoreDownloadOptions) {
    this.#store = options.store
    this.#sealedBytes = options.sealedBytes
    this.#urls = new MediaUrls(options)
  }

  /**
   * One attempt at bytes `start` to `end`. `null`: they have to come through the server.
   * @throws `network` when the store failed where it has worked before: worth another try; what the server refuses
   */
  async read(start: number, end: number, signal: AbortSignal): Promise<AsyncIterable<Uint8Array> | null> {
    const partBytes = this.#urls.partBytes ?? (await this.#firstPartBytes(start, signal))
    if (partBytes === null) return null
    const [first, ...rest] = piecesOf({ start, end }, partBytes)
    const opened = first && (await this.#open(first, signal))
    return opened ? this.#body(opened, rest, signal) : null
  }

  /** Call it when nothing is being read any more. */
  async close(): Promise<void> {
    await this.#urls.close()
  }

  async #firstPartBytes(at: number, signal: AbortSignal): Promise<number | null> {
    const url = await this.#url(at, signal)
    url?.release()
    return url?.partBytes ?? null
  }

  async *#body(first: OpenPiece, rest: readonly PartPiece[], signal: AbortSignal): AsyncGenerator<Uint8Array> {
    yield* this.#bytesOf(first, signal)
    for (const piece of rest) {
      const opened = await this.#open(piece, signal)
      // The next attempt starts at this piece, through the server.
      if (!opened) throw storeFailed()
      yield* this.#bytesOf(opened, signal)
    }
  }

  /** Exactly the bytes of the piece, whatever the store sends behind them. */
  async *#bytesOf({ piece, url, response }: OpenPiece, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    let left = piece.end - piece.start
    try {
      for await (const bytes of response.body) {
        left -= bytes.byteLength
        // Before the last bytes are yielded, since the reader may stop after them.
        if (left <= 0) this.#arrived(piece, url)
        yield left < 0 ? bytes.subarray(0, left) : bytes
        if (left < 0) return
      }
      if (left > 0) throw storeFailed()
    } catch (error) {
      if (!signal.aborted) this.#failed(piece)
      throw error
    } finally {
      url.release()
    }
  }

  #arrived(piece: PartPiece, url: HeldMediaUrl): void {
    this.#store.worked()
    this.#urls.done(piece, url)
  }

  async #open(piece: PartPiece, signal: AbortSignal): Promise<OpenPiece | null> {
    if ((this.#failures.get(piece.part) ?? 0) >= FAILURES_PER_PART) return null
    for (let refusals = 0; refusals <= REFUSALS; refusals += 1) {
      const url = await this.#url(piece.at, signal)
      if (!url) return null
      const response = await this.#get(piece, url, signal)
      if (response === 'absent') return null
      if (response === 'failed' || response === 'taken') return this.#failed(piece)
      if (response !== 'refused') return { piece, url, response }
      this.#urls.forget(url)
    }
    return this.#failed(piece)
  }

  /** `null`: the server has no presigned URLs, or the store is not to be tried. */
  async #url(at: number, signal: AbortSignal): Promise<HeldMediaUrl | null> {
    if (this.#off || !this.#store.isOpen) return null
    try {
      return await this.#urls.of(at, signal)
    } catch (error) {
      if (!isSealiftError(error, 'not_direct', 'upload_in_progress')) throw error
      this.#off = true
      return null
    }
  }

  /** The URL stays in use while there is a response to read. */
  async #get(piece: PartPiece, url: HeldMediaUrl, signal: AbortSignal): ReturnType<StoreConnection['request']> {
    let response: TransportResponse | StoreFailure = 'failed'
    try {
      const headers = { range: `bytes=${piece.start}-${piece.end - 1}` }
      response = await this.#store.request({ method: 'GET', presigned: url, headers, signal })
      if (typeof response === 'string' || this.#isRequestedRange(response, piece, url)) return response
      await response.discard()
      return (response = 'failed')
    } finally {
      if (typeof response === 'string') url.release()
    }
  }

  /** A proxy before the store that ignores ranges sends the complete part. */
  #isRequestedRange(response: TransportResponse, piece: PartPiece, { partBytes }: HeldMediaUrl): boolean {
    const partSize = Math.min(partBytes, this.#sealedBytes - piece.part * partBytes)
    if (response.status === 200) return piece.start === 0 && piece.end === partSize
    const range = response.status === 206 ? parseContentRange(response.header('content-range') ?? '') : null
    // In browsers, CORS may hide this header although the bytes are right.
    if (!range) return response.status === 206 && response.header('content-range') === null
    return range.start === piece.start && range.end === piece.end - 1 && (range.size ?? partSize) === partSize
  }

  /** `null`: it has to come through the server. @throws network, when another try at the store is worth it */
  #failed(piece: PartPiece): null {
    const failures = (this.#failures.get(piece.part) ?? 0) + 1
    this.#failures.set(piece.part, failures)
    this.#store.failed()
    if (!this.#store.isOpen || !this.#store.hasWorked || failures >= FAILURES_PER_PART) return null
    throw storeFailed()
  }
}

export interface DirectReadOptions extends Pick<ReadUrlsRequest, 'mediaId' | 'onResponse'> {
  readonly server: Server
  readonly store: StoreConnection
  readonly sealedBytes: number
  /** Headers of the next request for presigned URLs. */
  readonly headers: () => ReadUrlsRequest['headers']
}

/** Reads a complete media item by presigned URLs of its server. */
export function readDirectly({ mediaId, headers, onResponse, ...options }: DirectReadOptions): StoreDownload {
  return new StoreDownload({
    ...options,
    clock: options.store.clock,
    ask: (start, end, signal) =>
      requestReadUrls(options.server, { mediaId, start, end, headers: headers(), onResponse }, signal),
  })
}

interface OpenPiece {
  readonly piece: PartPiece
  readonly url: HeldMediaUrl
  readonly response: TransportResponse
}

function storeFailed(): SealiftError {
  return new SealiftError('network', 'The connection to the store broke')
}

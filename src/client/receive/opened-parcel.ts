import pLimit from 'p-limit'

import { SealiftError } from '../../protocol/errors.ts'
import { read } from '../../protocol/reader.ts'
import type { CallOptions, DownloadOptions, TransferOptions } from '../api/options.ts'
import type { DownloadTarget, Film, ItemResult, OpenedSink, Parcel, ParcelItem, StreamOptions } from '../api/parcel.ts'
import type { RandomSource, Sink } from '../api/source-and-sink.ts'
import { streamOf } from '../bytes/buffers.ts'
import { abortReason, asError, NO_SIGNAL, throwIfAborted } from '../concurrency/abort.ts'
import type { MonotonicClock } from '../concurrency/monotonic-clock.ts'
import { laneOf, ItemLanes } from '../concurrency/item-lanes.ts'
import { filmDescriptionReader } from '../manifest/film-readers.ts'
import { isBeingSent, isSent } from '../manifest/manifest.ts'
import type { ManifestItem, SealedMedia } from '../manifest/manifest.ts'
import { receiveError } from '../manifest/media-errors.ts'
import { ProgressMeter } from '../progress.ts'
import { merged, RUN_BYTES } from './chunk-runs.ts'
import { compareItem } from './verify-local-copy.ts'
import { downloadItem, readItem } from './item-download.ts'
import type { DownloadContext } from './download-context.ts'
import { itemId } from './download-context.ts'
import { MediaReader } from './media-reader.ts'
import { MediaSource } from './media-source.ts'
import { OpenedFilm } from './opened-film.ts'
import type { FilmReading } from './opened-film.ts'
import { orderedPlain } from './ordered-plain.ts'
import type { ParcelVersion } from './parcel-feed.ts'

const DEFAULT_MEMORY_BYTES = 64 * 1024 * 1024
const DEFAULT_WAIT_SECONDS = 30
/** Large items at once; their ranges share the ranges in flight of the client. */
const LARGE_AT_ONCE = 3
/** Servers allow twice as many downloads as uploads by default; the rest is for the ranges of large items. */
const RECEIVED_PER_SENT = 1.5
/** Items at once that are still being sent: each holds a connection that mostly waits. */
const SENDING_AT_ONCE = 16

export interface OpenedParcelOptions {
  readonly context: DownloadContext
  readonly film: FilmReading
  readonly clock: MonotonicClock
  readonly parallelSmall: number
}

export class OpenedParcel implements Parcel {
  readonly parcelId: string
  readonly version: number
  readonly createdAt: string
  readonly items: readonly ParcelItem[]
  readonly complete: boolean
  readonly #options: OpenedParcelOptions
  readonly #entries: readonly ManifestItem[]

  constructor(options: OpenedParcelOptions, { version, manifest }: ParcelVersion) {
    this.#options = options
    this.#entries = manifest.items
    this.parcelId = options.context.feed.parcelId
    const { parcelId } = this
    const idOf = (item: ManifestItem, index: number): string =>
      itemId(item, { parcelId, index, suite: options.context.suite })
    this.version = version
    this.createdAt = manifest.createdAt
    this.items = manifest.items.map((item, index) => ({ ...describe(item), index, id: idOf(item, index) }))
    this.complete = !manifest.items.some(isBeingSent)
  }

  async download(item: ParcelItem, sink: Sink, options: DownloadOptions = {}): Promise<void> {
    const meter = new ProgressMeter(this.#options.clock, options.onProgress)
    meter.add({ index: item.index, name: item.name, totalBytes: item.bytes })
    const { resume, keep, signal = NO_SIGNAL } = options
    await this.#download(item, { sink, ...(resume && { resume }), ...(keep && { keep }) }, { meter, signal })
    meter.flush()
  }

  async downloadAll(target: DownloadTarget, options: TransferOptions = {}): Promise<readonly ItemResult[]> {
    const { signal = NO_SIGNAL } = options
    const meter = new ProgressMeter(this.#options.clock, options.onProgress)
    for (const { index, name, bytes } of this.items) meter.add({ index, name, totalBytes: bytes })
    const results = await Promise.all(this.#scheduled(item => this.#settled(item, target, { meter, signal })))
    throwIfAborted(signal)
    meter.flush()
    return results.filter(result => result !== null).sort((a, b) => a.item.index - b.item.index)
  }

  stream(item: ParcelItem, options: StreamOptions = {}): ReadableStream<Uint8Array<ArrayBuffer>> {
    const range = options.range ?? { start: 0, end: Number.MAX_SAFE_INTEGER }
    const end = Math.min(range.end, item.bytes ?? Number.MAX_SAFE_INTEGER)
    const clipped = { start: Math.min(range.start, end), end }
    if (!Number.isSafeInteger(range.start) || !Number.isSafeInteger(range.end) || range.start < 0) {
      throw new SealiftError('invalid_request', 'A range begins and ends at whole numbers from 0')
    }
    return streamOf(options.signal ?? NO_SIGNAL, signal => {
      const { aheadBytes } = options
      const download = {
        index: item.index,
        item: this.#entry(item),
        moved: () => undefined,
        range: clipped,
        aheadBytes,
      }
      return readItem(this.#options.context, download, signal)
    })
  }

  matches(
    item: ParcelItem,
    source: RandomSource,
    options: Pick<DownloadOptions, 'signal' | 'resume'> = {},
  ): Promise<boolean> {
    const { signal = NO_SIGNAL, resume } = options
    return compareItem(this.#options.context, { item: this.#entry(item), source, resume }, signal)
  }

  async bytes(
    item: ParcelItem,
    options: CallOptions & { readonly maxBytes?: number } = {},
  ): Promise<Uint8Array<ArrayBuffer>> {
    const { maxBytes = DEFAULT_MEMORY_BYTES, signal = NO_SIGNAL } = options
    if ((item.bytes ?? 0) > maxBytes) throw tooLarge(maxBytes)
    return collect(this.stream(item, { signal }), maxBytes)
  }

  film(item: ParcelItem): Film | null {
    const entry = this.#entry(item)
    const description = read(filmDescriptionReader, entry.video).value
    return description && new OpenedFilm(this.#options.film, { item, entry, description })
  }

  async thumbnail(item: ParcelItem, options: CallOptions = {}): Promise<Uint8Array<ArrayBuffer> | null> {
    const { thumbnail } = this.#entry(item)
    if (!thumbnail) return null
    const { signal = NO_SIGNAL } = options
    if (thumbnail.bytes > RUN_BYTES) throw tooLarge(RUN_BYTES)
    const { context } = this.#options
    return collect(
      streamOf(signal, inner => readThumbnail(context, thumbnail, inner)),
      RUN_BYTES,
    )
  }

  async next(options: CallOptions & { readonly waitSeconds?: number } = {}): Promise<Parcel | null> {
    const { waitSeconds = DEFAULT_WAIT_SECONDS, signal = NO_SIGNAL } = options
    const version = await this.#options.context.feed.next(this.version, waitSeconds, signal)
    return version && new OpenedParcel(this.#options, version)
  }

  /** Each lane by size; items that are still being sent beside them all. */
  #scheduled<T>(run: (item: ParcelItem) => Promise<T>): Promise<T>[] {
    const lanes = new ItemLanes({
      small: Math.ceil(this.#options.parallelSmall * RECEIVED_PER_SENT),
      large: LARGE_AT_ONCE,
    })
    const sending = pLimit(SENDING_AT_ONCE)
    const bySize = this.items.toSorted((a, b) => (a.bytes ?? 0) - (b.bytes ?? 0))
    const planned = bySize.map(item => ({
      item,
      lane: item.state === 'sending' ? null : laneOf(item.bytes, RUN_BYTES),
    }))
    lanes.announce(planned.flatMap(({ lane }) => lane ?? []))
    return planned.map(({ item, lane }) => (lane ? lanes.run(lane, () => run(item)) : sending(() => run(item))))
  }

  async #settled(item: ParcelItem, target: DownloadTarget, run: Run): Promise<ItemResult | null> {
    let opened: OpenedSink | null = null
    try {
      throwIfAborted(run.signal)
      const sink = await target.open(item)
      if (sink === null) run.meter.leaveOut(item.index)
      if (sink === 'have') run.meter.finish(item.index, item.bytes ?? 0)
      if (sink === null || sink === 'have') return sink && { item, ok: true, bytes: item.bytes }
      opened = sink
      const bytes = await this.#download(item, opened, run)
      await opened.settle?.(null)
      return { item, ok: true, bytes }
    } catch (thrown) {
      const error = asError(run.signal.aborted ? abortReason(run.signal) : thrown)
      await opened?.settle?.(error).catch(() => undefined)
      run.meter.drop(item.index)
      return { item, ok: false, error }
    }
  }

  async #download(item: ParcelItem, { sink, resume, keep }: Omit<OpenedSink, 'settle'>, run: Run): Promise<number> {
    const { index } = item
    const { meter, signal } = run
    meter.begin(index)
    const found = (bytes: number): void => meter.found(index, bytes)
    for (const range of merged(resume?.finished ?? [])) found(range.end - range.start)
    const moved = (bytes: number): void => meter.moved(index, bytes)
    const download = { index, item: this.#entry(item), sink, resume, keep, moved, found }
    const bytes = await downloadItem(this.#options.context, download, signal)
    meter.finish(index, bytes)
    return bytes
  }

  #entry({ index }: ParcelItem): ManifestItem {
    const entry = this.#entries[index]
    if (!entry) throw new SealiftError('invalid_request', 'This parcel has no such item')
    return entry
  }
}

interface Run {
  readonly meter: ProgressMeter
  readonly signal: AbortSignal
}

function describe(item: ManifestItem): Omit<ParcelItem, 'index' | 'id'> {
  return {
    name: item.name,
    type: item.type,
    bytes: item.original?.bytes ?? item.bytes ?? null,
    state: isSent(item) ? 'complete' : 'sending',
    modifiedAt: item.modifiedAt ?? null,
    preview: item.preview ?? null,
    hasThumbnail: item.thumbnail !== undefined,
    note: item.note ?? null,
    video: item.video ?? null,
  }
}

async function collect(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
  maxBytes: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const pieces: Uint8Array<ArrayBuffer>[] = []
  let length = 0
  const reader = stream.getReader()
  for (let read = await reader.read(); !read.done; read = await reader.read()) {
    length += read.value.byteLength
    pieces.push(read.value)
    if (length > maxBytes) {
      await reader.cancel()
      throw tooLarge(maxBytes)
    }
  }
  const all = new Uint8Array(length)
  pieces.reduce((at, piece) => (all.set(piece, at), at + piece.byteLength), 0)
  return all
}

function tooLarge(maxBytes: number): SealiftError {
  return new SealiftError('too_large', 'This item is too large to be held in memory: download it to a sink', {
    context: { limit: 'maxBytes', value: maxBytes },
  })
}

/** A thumbnail is one part at most. */
const THUMBNAIL_RUN_BYTES = 1024 * 1024

/** A thumbnail, whole, in pieces. */
export async function* readThumbnail(
  { server, suite, parallel, ranges }: DownloadContext,
  thumbnail: SealedMedia,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const { media: mediaId, sealedBytes } = thumbnail
  try {
    const source = new MediaSource({ server, mediaId, sealedBytes, sending: false })
    const item = new MediaReader({ source, suite, role: 'thumbnail', facts: thumbnail })
    const range = { start: 0, end: item.bytes }
    yield* orderedPlain({ item, range, runBytes: THUMBNAIL_RUN_BYTES, parallel, ranges }, signal)
  } catch (error) {
    throw receiveError(error, false)
  }
}

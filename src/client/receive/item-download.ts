import type { PlainRange, KeepPlace, RandomSink, Sink } from '../api/source-and-sink.ts'
import { unlessAborted } from '../concurrency/abort.ts'
import { isBeingSent } from '../manifest/manifest.ts'
import type { CompleteItem, ItemWithOriginal, ManifestItem } from '../manifest/manifest.ts'
import { receiveError } from '../manifest/media-errors.ts'
import { followPlain } from './follow-media.ts'
import { grantOf, MediaSource } from './media-source.ts'
import { rebuildIntoSink, waitUntilComplete } from './rebuild-original.ts'
import { openOriginal, withOriginal } from './original-file.ts'
import { orderedPlain } from './ordered-plain.ts'
import { orderedOriginal } from './original-delivery.ts'
import { downloadAtRandom } from './random-download.ts'
import { isReadable } from './download-context.ts'
import type { DownloadContext, ItemDownload, ReadableItem } from './download-context.ts'
import { RUN_BYTES } from './chunk-runs.ts'
import { MediaReader } from './media-reader.ts'
import type { SealedMediaInfo } from './media-reader.ts'

/** Runs of a download in order: read-ahead in memory is this times the ranges in flight. */
const ORDERED_RUN_BYTES = 4 * 1024 * 1024
/** Runs of a stream: small, so that a player gets the first byte early. */
const STREAM_RUN_BYTES = 1024 * 1024
/** Ranges in flight of an item that is still being sent, whose bytes arrive in order anyway. */
const SENDING_PARALLEL = 2

/** Either the length is known, or the upload is followed. */
type Readable = { readonly source: MediaSource } & (
  { readonly sealed: MediaReader } | { readonly followed: AsyncIterable<Uint8Array<ArrayBuffer>> }
)

export interface ItemIntoSink extends ItemDownload {
  readonly sink: Sink
  readonly keep?: KeepPlace | undefined
}

/** Downloads one item into a sink; resolves with its true length. */
export async function downloadItem(
  context: DownloadContext,
  download: ItemIntoSink,
  signal: AbortSignal,
): Promise<number> {
  let item = download.item
  try {
    for (;;) {
      const readable = await readableItem(context, { ...download, item }, signal)
      item = readable
      const bytes = await downloadReadable(context, { ...download, item: readable }, signal)
      if (bytes !== null) return bytes
      item = await context.feed.waitForItem(download.index, isReadable, signal)
    }
  } catch (error) {
    throw receiveError(error, isBeingSent(item))
  }
}

/** `null`: the item has other bytes now. */
async function downloadReadable(
  context: DownloadContext,
  download: ItemIntoSink & { readonly item: ReadableItem },
  signal: AbortSignal,
): Promise<number | null> {
  const { sink, item } = download
  if (item.original) {
    if (!(sink instanceof WritableStream)) return rebuildIntoSink(context, { ...download, sink }, signal)
    const made = await waitUntilComplete(context, download, signal)
    return made && originalIntoStream(context, { ...download, sink, item: made }, signal)
  }
  const readable = open(context, download, signal)
  try {
    if (sink instanceof WritableStream) {
      const plain = 'followed' in readable ? readable.followed : wholeItem(context, readable.sealed, download, signal)
      return await intoStream({ plain, sink, download }, signal)
    }
    if ('followed' in readable) return await follow(readable.followed, { write: writerAt(sink), download })
    await downloadAtRandom({ ...randomOptions(context, download), item: readable.sealed, sink }, signal)
    return readable.sealed.bytes
  } finally {
    await readable.source.close()
  }
}

function originalIntoStream(
  context: DownloadContext,
  download: ItemDownload & { readonly item: ItemWithOriginal; readonly sink: WritableStream<Uint8Array> },
  signal: AbortSignal,
): Promise<number> {
  const { suite, parallel } = context
  const { sink } = download
  return withOriginal(context, download, signal, file => {
    const range = { start: 0, end: file.bytes }
    const plain = orderedOriginal({ file, range, pieceBytes: ORDERED_RUN_BYTES, parallel, suite }, signal)
    return intoStream({ plain, sink, download }, signal)
  })
}

interface RangeRead extends ItemDownload {
  readonly range: PlainRange
  readonly aheadBytes?: number | undefined
}

/** The plaintext of an item, or a range of it, in order. */
export async function* readItem(
  context: DownloadContext,
  download: RangeRead,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const { index } = download
  let item = download.item
  try {
    for (;;) {
      const readable = await readableItem(context, { ...download, item }, signal)
      item = readable
      if (!readable.original) return yield* readPlain(context, { ...download, item: readable }, signal)
      const made = await waitUntilComplete(context, { item: readable, index }, signal)
      if (made) return yield* readOriginal(context, { ...download, item: made }, signal)
      item = await context.feed.waitForItem(index, isReadable, signal)
    }
  } catch (error) {
    throw receiveError(error, isBeingSent(item))
  }
}

async function* readPlain(
  context: DownloadContext,
  download: RangeRead & { readonly item: ReadableItem },
  signal: AbortSignal,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const { range } = download
  const { ranges } = context
  const parallel = rangesAhead(context, download)
  const readable = open(context, { ...download, wanted: range.end - range.start }, signal)
  try {
    if ('followed' in readable) yield* clipped(readable.followed, range)
    else yield* orderedPlain({ item: readable.sealed, range, runBytes: STREAM_RUN_BYTES, parallel, ranges }, signal)
  } finally {
    await readable.source.close()
  }
}

async function* readOriginal(
  context: DownloadContext,
  download: RangeRead & { readonly item: ItemWithOriginal },
  signal: AbortSignal,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const { suite } = context
  const { range, aheadBytes: keptBytes } = download
  const parallel = rangesAhead(context, download)
  const opened = await openOriginal(context, { ...download, keptBytes }, signal)
  try {
    yield* orderedOriginal({ file: opened.file, range, pieceBytes: STREAM_RUN_BYTES, parallel, suite }, signal)
  } finally {
    await opened.close()
  }
}

function rangesAhead({ parallel }: DownloadContext, { aheadBytes = Infinity }: RangeRead): number {
  return Math.max(1, Math.min(parallel, Math.floor(aheadBytes / STREAM_RUN_BYTES)))
}

/** Waits until the bytes of an item can be read. An item that was not begun may still become a film. */
async function readableItem(
  { feed }: DownloadContext,
  { item, index }: Pick<ItemDownload, 'item' | 'index'>,
  signal: AbortSignal,
): Promise<ReadableItem> {
  return isReadable(item) ? item : feed.waitForItem(index, isReadable, signal)
}

function open(
  context: DownloadContext,
  { index, resume, item, wanted = Infinity }: ItemDownload & { readonly item: ReadableItem; readonly wanted?: number },
  signal: AbortSignal,
): Readable {
  const { feed, suite } = context
  const sending = item.state === 'sending'
  const sealedBytes = item.bytes === undefined ? null : (item.sealedBytes ?? null)
  const source = new MediaSource({
    server: context.server,
    mediaId: item.media,
    sealedBytes,
    sending,
    // A range of one request is faster through the server: presigned URLs take a request of their own.
    direct: feed.direct && Math.min(wanted, sealedBytes ?? 0) > RUN_BYTES,
    ...grantOf(resume),
  })
  if (hasLength(item)) return { source, sealed: new MediaReader({ source, suite, role: 'media', facts: item }) }
  const finalBytes = async (inner: AbortSignal): Promise<number> =>
    (await feed.waitForItem(index, isComplete, inner)).bytes
  return { source, followed: followPlain({ source, suite, facts: item, finalBytes }, signal) }
}

function isComplete(item: ManifestItem): item is CompleteItem {
  return item.state === 'complete'
}

function isSending(item: ManifestItem): boolean {
  return item.state === 'sending'
}

function hasLength(item: ReadableItem): item is ReadableItem & SealedMediaInfo {
  return item.bytes !== undefined && item.sealedBytes !== undefined
}

function randomOptions(
  context: DownloadContext,
  { item, resume, moved }: ItemDownload,
): Pick<Parameters<typeof downloadAtRandom>[0], 'resume' | 'ranges' | 'parallel' | 'moved'> {
  const parallel = isSending(item) ? Math.min(SENDING_PARALLEL, context.parallel) : context.parallel
  return { resume, ranges: context.ranges, parallel, moved }
}

function ordered(
  context: DownloadContext,
  read: { item: MediaReader; range: PlainRange; runBytes: number; sending: boolean },
  signal: AbortSignal,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const parallel = read.sending ? Math.min(SENDING_PARALLEL, context.parallel) : context.parallel
  return orderedPlain({ ...read, parallel, ranges: context.ranges }, signal)
}

async function intoStream(
  { plain, sink, download }: Pick<Following, 'download'> & PlainIntoStream,
  signal: AbortSignal,
): Promise<number> {
  const writer = sink.getWriter()
  // A sink that takes no more bytes must not delay an abort.
  const write = async (bytes: Uint8Array<ArrayBuffer>): Promise<void> => {
    await unlessAborted(writer.ready, signal)
    await unlessAborted(writer.write(bytes), signal)
  }
  try {
    const length = await follow(plain, { write, download })
    await unlessAborted(writer.close(), signal)
    return length
  } catch (error) {
    writer.abort(error).catch(() => undefined)
    throw error
  } finally {
    writer.releaseLock()
  }
}

function wholeItem(
  context: DownloadContext,
  item: MediaReader,
  download: ItemDownload,
  signal: AbortSignal,
): AsyncIterable<Uint8Array<ArrayBuffer>> {
  const range = { start: 0, end: item.bytes }
  return ordered(context, { item, range, runBytes: ORDERED_RUN_BYTES, sending: isSending(download.item) }, signal)
}

interface PlainIntoStream {
  readonly plain: AsyncIterable<Uint8Array<ArrayBuffer>>
  readonly sink: WritableStream<Uint8Array>
}

interface Following {
  readonly download: ItemDownload
  readonly write: (bytes: Uint8Array<ArrayBuffer>, at: number) => Promise<void>
}

async function follow(plain: AsyncIterable<Uint8Array<ArrayBuffer>>, { write, download }: Following): Promise<number> {
  let at = 0
  for await (const bytes of plain) {
    // The sink may keep the bytes, and detach them.
    const length = bytes.byteLength
    await write(bytes, at)
    at += length
    download.moved(length)
  }
  return at
}

function writerAt(sink: RandomSink): Following['write'] {
  return (bytes, at) => sink.write(bytes, at)
}

async function* clipped(
  plain: AsyncIterable<Uint8Array<ArrayBuffer>>,
  range: PlainRange,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  let at = 0
  for await (const bytes of plain) {
    const part = bytes.subarray(Math.max(0, range.start - at), Math.max(0, range.end - at))
    at += bytes.byteLength
    if (part.byteLength > 0) yield part
    if (at >= range.end) return
  }
}

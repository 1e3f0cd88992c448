import type { LimitFunction } from 'p-limit'

import { unlessAborted } from '../abort.ts'
import type { CryptoSuite } from '../../sealing/index.ts'
import type { CompleteItem, ManifestItem, SealedMedia } from '../manifest.ts'
import { originalOf } from '../manifest.ts'
import type { DownloadResume, PlainRange } from '../options.ts'
import type { RandomSink, Sink } from '../sink.ts'
import type { RandomSource } from '../source.ts'
import type { Server } from '../wire/http.ts'
import { receiveError } from './errors.ts'
import { followPlain } from './follow-plain.ts'
import { MediaSource } from './media-source.ts'
import type { MediaSourceOptions } from './media-source.ts'
import { openOriginal } from './open-original.ts'
import { orderedPlain } from './ordered-plain.ts'
import { downloadOriginal, holdsOriginal, orderedOriginal } from './original-download.ts'
import type { ParcelFeed } from './parcel-feed.ts'
import { downloadAtRandom } from './random-download.ts'
import { holdsItem } from './same-bytes.ts'
import { RUN_BYTES } from './runs.ts'
import { SealedItem } from './sealed-item.ts'
import type { SealedFacts } from './sealed-item.ts'

/** Runs of a download in order: read-ahead in memory is this times the ranges in flight. */
const ORDERED_RUN_BYTES = 4 * 1024 * 1024
/** Runs of a stream: smaller, for a player waits for the first byte. */
const STREAM_RUN_BYTES = 1024 * 1024
/** Ranges at once of an item that is still being sent: its bytes come in order anyway. */
const SENDING_PARALLEL = 2

/** What all downloads of a client share. */
export interface DownloadContext {
  readonly server: Server
  readonly suite: CryptoSuite
  readonly feed: ParcelFeed
  readonly ranges: LimitFunction
  readonly parallel: number
}

export interface ItemDownload {
  readonly index: number
  readonly item: ManifestItem
  readonly resume?: DownloadResume | undefined
  readonly moved: (bytes: number) => void
}

/** Far enough along to be read: either its length is known, or it can be followed. */
type Readable = { readonly source: MediaSource } & (
  { readonly sealed: SealedItem } | { readonly followed: AsyncIterable<Uint8Array<ArrayBuffer>> }
)

/** Brings one item into a sink; resolves with its true length. */
export async function downloadItem(
  context: DownloadContext,
  asked: ItemDownload & { readonly sink: Sink },
  signal: AbortSignal,
): Promise<number> {
  const { sink } = asked
  try {
    const download = { ...asked, item: await begunItem(context, asked, signal) }
    if (download.item.original) return await downloadMade(context, download, signal)
    const readable = await open(context, download, signal)
    await using _ = readable.source
    if (sink instanceof WritableStream) {
      const plain = 'followed' in readable ? readable.followed : wholeItem(context, readable.sealed, download, signal)
      return await intoStream({ plain, sink, download }, signal)
    }
    if ('followed' in readable) return await follow(readable.followed, { write: writerAt(sink), download })
    await downloadAtRandom({ ...randomOptions(context, download), item: readable.sealed, sink }, signal)
    return readable.sealed.bytes
  } catch (error) {
    throw receiveError(error, isSending(asked.item))
  }
}

/** What the item's own bytes are, the file or what was made of it, is told when they begin, and not before. */
async function begunItem(
  { feed }: DownloadContext,
  { index, item }: Pick<ItemDownload, 'index' | 'item'>,
  signal: AbortSignal,
): Promise<ReadableItem> {
  return isReadable(item) ? item : feed.waitForItem(index, isReadable, signal)
}

/** An item of which the file that it was made of is wanted. */
async function downloadMade(
  context: DownloadContext,
  download: ItemDownload & { readonly sink: Sink },
  signal: AbortSignal,
): Promise<number> {
  const { sink, resume, moved } = download
  const { suite, parallel } = context
  await using opened = await openOriginal(context, download, signal)
  const { file } = opened
  if (sink instanceof WritableStream) {
    const range = { start: 0, end: file.bytes }
    const plain = orderedOriginal({ file, range, pieceBytes: ORDERED_RUN_BYTES, parallel, suite }, signal)
    return intoStream({ plain, sink, download }, signal)
  }
  await downloadOriginal({ file, sink, resume, parallel, moved }, signal)
  return file.bytes
}

/** The plaintext of an item, or a range of it, in order. */
export async function* readItem(
  context: DownloadContext,
  asked: ItemDownload & { readonly range: PlainRange; readonly aheadBytes?: number | undefined },
  signal: AbortSignal,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const { range, aheadBytes = Infinity } = asked
  const parallel = Math.max(1, Math.min(context.parallel, Math.floor(aheadBytes / STREAM_RUN_BYTES)))
  try {
    const download = { ...asked, item: await begunItem(context, asked, signal) }
    if (download.item.original) {
      const { suite } = context
      await using opened = await openOriginal(context, { ...download, keptBytes: aheadBytes }, signal)
      yield* orderedOriginal({ file: opened.file, range, pieceBytes: STREAM_RUN_BYTES, parallel, suite }, signal)
      return
    }
    const wanted = range.end - range.start
    const readable = await open(context, { ...download, wanted }, signal)
    await using _ = readable.source
    if ('followed' in readable) yield* clipped(readable.followed, range)
    else
      yield* orderedPlain(
        { item: readable.sealed, range, runBytes: STREAM_RUN_BYTES, parallel, ranges: context.ranges },
        signal,
      )
  } catch (error) {
    throw receiveError(error, isSending(asked.item))
  }
}

/** Whether `source` holds what an item is. */
export async function compareItem(
  context: DownloadContext,
  { index, item, source, resume }: Omit<ItemDownload, 'moved'> & { readonly source: RandomSource },
  signal: AbortSignal,
): Promise<boolean> {
  if (!isComplete(item)) return false
  const { server, suite } = context
  const { media: mediaId, sealedBytes } = item
  try {
    if (item.original) {
      if (!originalOf(item)) return false
      await using opened = await openOriginal(context, { index, item, resume }, signal)
      return await holdsOriginal({ file: opened.file, source, suite }, signal)
    }
    const media = new MediaSource({ server, mediaId, sealedBytes, sending: false, ...grantOf(resume) })
    return await holdsItem({ item, media, source, suite }, signal)
  } catch (error) {
    throw receiveError(error, false)
  }
}

/** A thumbnail, whole, in pieces. */
export async function* readThumbnail(
  context: DownloadContext,
  thumbnail: SealedMedia,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const { server, suite } = context
  const { media: mediaId, sealedBytes } = thumbnail
  try {
    const source = new MediaSource({ server, mediaId, sealedBytes, sending: false })
    const item = new SealedItem({ source, suite, role: 'thumbnail', facts: thumbnail })
    const range = { start: 0, end: item.bytes }
    yield* ordered(context, { item, range, runBytes: STREAM_RUN_BYTES, sending: false }, signal)
  } catch (error) {
    throw receiveError(error, false)
  }
}

async function open(
  context: DownloadContext,
  { index, resume, wanted = Infinity, ...download }: ItemDownload & { readonly wanted?: number },
  signal: AbortSignal,
): Promise<Readable> {
  const { feed, suite } = context
  const item = await begunItem(context, { index, item: download.item }, signal)
  const sending = item.state === 'sending'
  const sealedBytes = item.bytes === undefined ? null : (item.sealedBytes ?? null)
  const source = new MediaSource({
    server: context.server,
    mediaId: item.media,
    sealedBytes,
    sending,
    // What one request brings is sooner there from the server: asking for an address is a request too.
    direct: feed.direct && Math.min(wanted, sealedBytes ?? 0) > RUN_BYTES,
    ...grantOf(resume),
  })
  if (hasLength(item)) return { source, sealed: new SealedItem({ source, suite, role: 'media', facts: item }) }
  const finalBytes = async (inner: AbortSignal): Promise<number> =>
    (await feed.waitForItem(index, isComplete, inner)).bytes
  return { source, followed: followPlain({ source, suite, facts: item, finalBytes }, signal) }
}

function grantOf(resume: DownloadResume | undefined): Pick<MediaSourceOptions, 'grant' | 'onGrant'> {
  return { grant: resume?.grant, onGrant: resume?.onGrant?.bind(resume) }
}

type ReadableItem = ManifestItem & Pick<SealedMedia, 'media' | 'key' | 'commit' | 'chunkBytes'>

function isReadable(item: ManifestItem): item is ReadableItem {
  return ![item.media, item.key, item.commit, item.chunkBytes].includes(undefined)
}

function isComplete(item: ManifestItem): item is CompleteItem {
  return item.state === 'complete'
}

function isSending(item: ManifestItem): boolean {
  return item.state === 'sending'
}

function hasLength(item: ReadableItem): item is ReadableItem & SealedFacts {
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
  read: { item: SealedItem; range: PlainRange; runBytes: number; sending: boolean },
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
  // A sink whose reader stands still must not hold up an abort.
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
  item: SealedItem,
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

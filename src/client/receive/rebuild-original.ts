/**
 * Downloads the original file of an item. The list of runs by which it is rebuilt arrives when all is sent. With a
 * `KeepPlace`, the item's own bytes are fetched and stored while they are being sent.
 */
import { isSealiftError } from '../../protocol/errors.ts'
import { plainLength } from '../../sealing/index.ts'
import { isStore } from '../api/source-and-sink.ts'
import type { DownloadResume, KeepPlace, KeptBytes, RandomSink } from '../api/source-and-sink.ts'
import type { ItemWithOriginal, ManifestItem } from '../manifest/manifest.ts'
import type { DownloadContext, ItemDownload, ReadableItem } from './download-context.ts'
import { itemId, isEnded, hasOriginal, isOther } from './download-context.ts'
import { StoredFilm, storeGrowing } from './stored-film.ts'
import { MediaSource } from './media-source.ts'
import { withOriginal } from './original-file.ts'
import type { OwnMedia } from './original-file.ts'
import { downloadOriginal, verifyOriginal } from './original-delivery.ts'
import { downloadAtRandom } from './random-download.ts'
import { MediaReader } from './media-reader.ts'

export interface RebuildDownload extends ItemDownload {
  readonly item: ReadableItem
  readonly sink: RandomSink
  readonly keep?: KeepPlace | undefined
}

/** @returns the length of the file; `null` when the item has other bytes now, of which the sink has none */
export async function rebuildIntoSink(
  context: DownloadContext,
  download: RebuildDownload,
  signal: AbortSignal,
): Promise<number | null> {
  const { item, index, keep } = download
  const name = itemId(item, { index, suite: context.suite, parcelId: context.feed.parcelId })
  const bytes = (await keep?.find(name)) ?? (hasOriginal(item) ? null : await keep?.create(name)) ?? null
  if (!bytes) {
    const complete = await waitUntilComplete(context, download, signal)
    return complete && deliver(context, { ...download, item: complete }, signal)
  }
  try {
    return await rebuildFromStored(context, download, bytes, signal)
  } finally {
    await bytes[Symbol.asyncDispose]()
  }
}

async function rebuildFromStored(
  context: DownloadContext,
  download: RebuildDownload,
  bytes: KeptBytes,
  signal: AbortSignal,
): Promise<number | null> {
  const film = new StoredFilm(bytes)
  const storing: Storing = { ...download, film, resume: joined(bytes.resume, download.resume), store: bytes.store }
  download.found?.(film.bytes)
  if (!hasOriginal(download.item)) await followUntilComplete(context, storing, signal)
  const complete = await waitUntilComplete(context, download, signal)
  if (!complete) {
    download.moved(-film.bytes)
    await bytes.discard()
    return null
  }
  return deliverStored(context, { ...storing, item: complete }, signal)
}

/** The item when all of it is sent; `null` when other bytes are sent instead. */
export async function waitUntilComplete(
  { feed }: DownloadContext,
  { item, index }: { readonly item: ReadableItem; readonly index: number },
  signal: AbortSignal,
): Promise<ItemWithOriginal | null> {
  const wanted = (now: ManifestItem): now is ManifestItem => hasOriginal(now) || isOther(now, item)
  const now = hasOriginal(item) ? item : await feed.waitForItem(index, wanted, signal)
  return hasOriginal(now) && !isOther(now, item) ? now : null
}

interface Storing extends RebuildDownload {
  readonly film: StoredFilm
  readonly store: RandomSink
}

/** Fetches bytes as they are sent, until the upload has ended or the original is known. */
async function followUntilComplete(context: DownloadContext, storing: Storing, signal: AbortSignal): Promise<void> {
  const { feed } = context
  const { item, index } = storing
  const ended = new AbortController()
  const both = AbortSignal.any([signal, ended.signal])
  const isNews = (now: ManifestItem): now is ManifestItem => hasOriginal(now) || isOther(now, item)
  const watching = feed.lookForItem(index, isNews, both).finally(() => ended.abort())
  watching.catch(() => undefined)
  try {
    await follow(context, storing, both)
  } catch (error) {
    // A media item that has ended may be sent again, which the parcel shows.
    if (!ended.signal.aborted && !isEnded(error)) throw error
  } finally {
    ended.abort()
  }
  await watching.catch((error: unknown) => {
    if (signal.aborted || !isSealiftError(error, 'aborted')) throw error
  })
}

async function follow(
  { server, suite }: DownloadContext,
  { item, film, resume, moved }: Storing,
  signal: AbortSignal,
): Promise<void> {
  const grant = resume?.grant?.split(' ')[0]
  const source = new MediaSource({
    server,
    mediaId: item.media,
    sealedBytes: null,
    sending: true,
    ...(grant && { grant }),
    onGrant: given => resume?.onGrant?.(given),
  })
  try {
    await storeGrowing({ source, suite, facts: item, film, moved }, signal)
  } finally {
    await source.close()
  }
}

function deliver(
  context: DownloadContext,
  download: RebuildDownload & { readonly item: ItemWithOriginal; readonly own?: OwnMedia },
  signal: AbortSignal,
): Promise<number> {
  const { sink, resume, moved } = download
  const { parallel, suite } = context
  return withOriginal(context, download, signal, async file => {
    await downloadOriginal({ file, sink, resume, parallel, moved }, signal)
    if (isStore(sink)) await verifyOriginal({ file, store: sink, suite }, signal)
    return file.bytes
  })
}

/** Fetches what is not stored yet, then rebuilds the file from the stored bytes. */
function deliverStored(
  context: DownloadContext,
  download: Storing & { readonly item: ItemWithOriginal },
  signal: AbortSignal,
): Promise<number> {
  const { suite, ranges, parallel } = context
  const { item, film, store, moved } = download
  const own: OwnMedia = async (source, inner) => {
    // Padding is stored like content, since it is not known where it begins while an upload is followed.
    const facts = { ...item, bytes: plainLength(item.sealedBytes, item.chunkBytes) }
    const padded = new MediaReader({ source, suite, role: 'media', facts })
    await downloadAtRandom({ item: padded, sink: store, resume: film.resume(), ranges, parallel, moved }, inner)
    const whole = new MediaReader({ source, suite, role: 'media', facts: item })
    await film.checkPadding(item, inner)
    return { item: whole, chunks: film.chunksOf(whole), isHere: true }
  }
  return deliver(context, { ...download, own }, signal)
}

/** Both are one download for the server, which is named by its newest grant. */
function joined(kept: DownloadResume, file: DownloadResume | undefined): DownloadResume {
  let grant = kept.grant ?? file?.grant ?? ''
  return {
    finished: file?.finished ?? [],
    onFinished: range => file?.onFinished(range),
    get grant() {
      return grant
    },
    onGrant: async given => {
      grant = given
      await kept.onGrant?.(given)
      await file?.onGrant?.(given)
    },
  }
}

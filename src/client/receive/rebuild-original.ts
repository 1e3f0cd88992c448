/**
 * Downloads an item of which the file that it was made of is wanted. How the file is put together is known when all is
 * sent. Where there is room to keep the item's own bytes until then, they are fetched as they come, once.
 */
import { isSealiftError } from '../../protocol/errors.ts'
import { plainLength } from '../../sealing/index.ts'
import { isStore } from '../api/source-and-sink.ts'
import type { KeepPlace, RandomSink } from '../api/source-and-sink.ts'
import type { MadeItem, ManifestItem } from '../manifest.ts'
import type { DownloadResume } from '../api/options.ts'
import type { DownloadContext, ItemDownload } from './item-download.ts'
import { itemId, isEnded, hasOriginal, isOther } from './download-context.ts'
import { keepGrowing } from './follow-chunks.ts'
import { StoredFilm } from './stored-film.ts'
import { MediaSource } from './media-source.ts'
import { openOriginal } from './original-file.ts'
import type { OwnMedia } from './original-file.ts'
import { downloadOriginal, verifyOriginal } from './original-delivery.ts'
import { downloadAtRandom } from './random-download.ts'
import type { ReadableItem } from './download-context.ts'
import { MediaReader } from './media-reader.ts'

export interface RebuildDownload extends ItemDownload {
  readonly item: ReadableItem
  readonly sink: RandomSink
  readonly keep?: KeepPlace | undefined
}

/** @returns length of the file; `null`: the item has other bytes now, and nothing of these went into the sink */
export async function rebuildIntoSink(
  context: DownloadContext,
  download: RebuildDownload,
  signal: AbortSignal,
): Promise<number | null> {
  const { item, index, keep } = download
  const name = itemId(item, { index, suite: context.suite, parcelId: context.feed.parcelId })
  const bytes = (await keep?.find(name)) ?? (hasOriginal(item) ? null : await keep?.create(name)) ?? null
  if (!bytes) {
    const made = await waitUntilComplete(context, download, signal)
    return made && deliver(context, { ...download, item: made }, signal)
  }
  await using _ = bytes
  const kept = new StoredFilm(bytes)
  const keeping: Keeping = { ...download, kept, resume: joined(bytes.resume, download.resume), store: bytes.store }
  download.found?.(kept.bytes)
  if (!hasOriginal(item)) await followUntilMade(context, keeping, signal)
  const made = await waitUntilComplete(context, download, signal)
  if (!made) {
    download.moved(-kept.bytes)
    await bytes.discard()
    return null
  }
  return await deliverKept(context, { ...keeping, item: made }, signal)
}

/** Once all of it is sent; `null` when other bytes are sent instead. */
export async function waitUntilComplete(
  { feed }: DownloadContext,
  { item, index }: { readonly item: ReadableItem; readonly index: number },
  signal: AbortSignal,
): Promise<MadeItem | null> {
  const wanted = (now: ManifestItem): now is ManifestItem => hasOriginal(now) || isOther(now, item)
  const now = hasOriginal(item) ? item : await feed.waitForItem(index, wanted, signal)
  return hasOriginal(now) && !isOther(now, item) ? now : null
}

interface Keeping extends RebuildDownload {
  readonly kept: StoredFilm
  readonly store: RandomSink
}

/** Fetches what comes, until there is no more of it, or all is known. */
async function followUntilMade(context: DownloadContext, keeping: Keeping, signal: AbortSignal): Promise<void> {
  const { feed } = context
  const { item, index } = keeping
  const ended = new AbortController()
  const both = AbortSignal.any([signal, ended.signal])
  const isNews = (now: ManifestItem): now is ManifestItem => hasOriginal(now) || isOther(now, item)
  const watching = feed.lookForItem(index, isNews, both).finally(() => ended.abort())
  watching.catch(() => undefined)
  try {
    await follow(context, keeping, both)
  } catch (error) {
    // What the server has dropped may be sent anew; only the parcel tells.
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
  { item, kept, resume, moved }: Keeping,
  signal: AbortSignal,
): Promise<void> {
  const grant = resume?.grant?.split(' ')[0]
  await using source = new MediaSource({
    server,
    mediaId: item.media,
    sealedBytes: null,
    sending: true,
    ...(grant && { grant }),
    onGrant: given => resume?.onGrant?.(given),
  })
  await keepGrowing({ source, suite, facts: item, kept, moved }, signal)
}

async function deliver(
  context: DownloadContext,
  download: RebuildDownload & { readonly item: MadeItem; readonly own?: OwnMedia },
  signal: AbortSignal,
): Promise<number> {
  const { sink, resume, moved } = download
  const { parallel, suite } = context
  await using opened = await openOriginal(context, download, signal)
  const { file } = opened
  await downloadOriginal({ file, sink, resume, parallel, moved }, signal)
  if (isStore(sink)) await verifyOriginal({ file, store: sink, suite }, signal)
  return file.bytes
}

/** Fetches what is not kept yet, then puts the file together from what is. */
function deliverKept(
  context: DownloadContext,
  download: Keeping & { readonly item: MadeItem },
  signal: AbortSignal,
): Promise<number> {
  const { suite, ranges, parallel } = context
  const { item, kept, store, moved } = download
  const own: OwnMedia = async (source, inner) => {
    // Padding is kept like content: whoever followed could not tell them apart.
    const facts = { ...item, bytes: plainLength(item.sealedBytes, item.chunkBytes) }
    const padded = new MediaReader({ source, suite, role: 'media', facts })
    await downloadAtRandom({ item: padded, sink: store, resume: kept.resume(), ranges, parallel, moved }, inner)
    const whole = new MediaReader({ source, suite, role: 'media', facts: item })
    await kept.checkPadding(item, inner)
    return { item: whole, chunks: kept.chunksOf(whole), isHere: true }
  }
  return deliver(context, { ...download, own }, signal)
}

/** Both are one download to the server, of which the newest name counts. */
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

import type { MadeItem, SealedMedia } from '../manifest.ts'
import type { DownloadResume } from '../api/options.ts'
import { ChunkStore } from './chunk-store.ts'
import type { ChunkStoreOptions } from './chunk-store.ts'
import type { DownloadContext, ItemDownload } from './item-download.ts'
import { MediaSource } from './media-source.ts'
import { OriginalFile } from './original-file.ts'
import type { OriginalParts } from './original-file.ts'
import { RUN_BYTES } from './chunk-runs.ts'
import { SealedItem } from './media-reader.ts'

export interface OriginalOptions extends Pick<ItemDownload, 'resume'>, Pick<ChunkStoreOptions, 'keptBytes'> {
  readonly item: MadeItem
  readonly own?: OwnMedia
}

/** Dispose it when nothing is read any more. */
export interface OpenedOriginal extends AsyncDisposable {
  readonly file: OriginalFile
}

/** Where the item's own bytes are taken from; fetches what it needs from `source`, in the download that this is. */
export type OwnMedia = (source: MediaSource, signal: AbortSignal) => Promise<OriginalParts['own']>

/**
 * The file that an item was made of.
 * @throws damaged_media
 */
export async function openOriginal(
  context: DownloadContext,
  { item, resume, own: ownMedia, keptBytes }: OriginalOptions,
  signal: AbortSignal,
): Promise<OpenedOriginal> {
  const { bytes, runs } = item.original
  const grants = new Grants(resume)
  const own = mediaSource(context, item, grants.options('own'))
  const list = mediaSource(context, runs, grants.options('list'))
  const dispose = async (): Promise<void> => {
    await own[Symbol.asyncDispose]()
    await list[Symbol.asyncDispose]()
  }
  try {
    const chunks = (await ownMedia?.(own, signal)) ?? opened(context, { facts: item, source: own, keptBytes })
    const parts = { bytes, own: chunks, list: opened(context, { facts: runs, source: list, keptBytes }) }
    return { file: await OriginalFile.open(parts, signal), [Symbol.asyncDispose]: dispose }
  } catch (error) {
    await dispose()
    throw error
  }
}

interface OpenedMedia extends Pick<ChunkStoreOptions, 'keptBytes'> {
  readonly facts: SealedMedia
  readonly source: MediaSource
}

function opened(
  { suite, ranges }: DownloadContext,
  { facts, source, keptBytes }: OpenedMedia,
): { item: SealedItem; chunks: ChunkStore } {
  const item = new SealedItem({ source, suite, role: 'media', facts })
  return { item, chunks: new ChunkStore({ item, ranges, keptBytes }) }
}

function mediaSource(
  { server, feed }: DownloadContext,
  { media: mediaId, sealedBytes }: SealedMedia,
  grant: ReturnType<Grants['options']>,
): MediaSource {
  const direct = feed.direct && sealedBytes > RUN_BYTES
  return new MediaSource({ server, mediaId, sealedBytes, sending: false, direct, ...grant })
}

type GrantPlace = 'own' | 'list'

/** The server's names for the downloads of both media, kept as one. */
class Grants {
  readonly #resume: DownloadResume | undefined
  readonly #known: Record<GrantPlace, string>

  constructor(resume: DownloadResume | undefined) {
    const [own = '', list = ''] = resume?.grant?.split(' ') ?? []
    this.#resume = resume
    this.#known = { own, list }
  }

  options(place: GrantPlace): { grant: string | undefined; onGrant: (grant: string) => Promise<void> } {
    return {
      grant: this.#known[place] === '' ? undefined : this.#known[place],
      onGrant: async grant => {
        this.#known[place] = grant
        await this.#resume?.onGrant?.(`${this.#known.own} ${this.#known.list}`)
      },
    }
  }
}

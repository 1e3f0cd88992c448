import { chunkOfPlain } from '../../sealing/index.ts'
import type { IncrementalHash } from '../../sealing/index.ts'
import type { DownloadResume, PlainRange } from '../api/source-and-sink.ts'
import type { ItemWithOriginal, SealedMedia } from '../manifest/manifest.ts'
import { damagedMedia } from '../manifest/media-errors.ts'
import { RunIndex } from '../original/run-index.ts'
import { RunListReader } from '../original/run-list-reader.ts'
import { RUN_BYTES } from './chunk-runs.ts'
import { ChunkStore } from './chunk-store.ts'
import type { ChunkStoreOptions } from './chunk-store.ts'
import type { DownloadContext, ItemDownload } from './download-context.ts'
import { MediaReader } from './media-reader.ts'
import { MediaSource } from './media-source.ts'

/** Runs that are put together at once: bounds what a list of tiny runs makes a receiver hold. */
const PIECE_RUNS = 2 ** 16
/** Chunks of the list that are asked for at once. */
const LIST_CHUNKS = 32

/** Hands over chunks from wherever they are. */
export type OwnChunks = Pick<ChunkStore, 'take'>

export interface OriginalParts {
  /** Length of the file. */
  readonly bytes: number
  /** What runs are copied from; with `isHere`, copied bytes do not count as progress. */
  readonly own: { readonly item: MediaReader; readonly chunks: OwnChunks; readonly isHere?: boolean }
  readonly list: { readonly item: MediaReader; readonly chunks: ChunkStore }
}

/**
 * The file that an item was made of, put together from the item and its list of runs. Pieces of it are independent of
 * each other, so that any of them can be read, several at once.
 */
export class OriginalFile {
  readonly bytes: number
  /** Of the whole file, as its sender says. */
  readonly sha256: Uint8Array<ArrayBuffer>
  readonly #parts: OriginalParts
  readonly #runs: RunIndex

  private constructor(parts: OriginalParts, runs: RunIndex, sha256: Uint8Array<ArrayBuffer>) {
    this.bytes = parts.bytes
    this.sha256 = sha256
    this.#parts = parts
    this.#runs = runs
  }

  /** Reads the list of runs, all of it. @throws damaged_media, unsupported_version */
  static async open(parts: OriginalParts, signal: AbortSignal): Promise<OriginalFile> {
    const { bytes, own, list } = parts
    const runs = new RunIndex()
    const reader = new RunListReader({ bytes, sourceBytes: own.item.bytes, onRun: run => runs.add(run) })
    for (let first = 0; first < list.item.chunks; first += LIST_CHUNKS) {
      const count = Math.min(LIST_CHUNKS, list.item.chunks - first)
      const wanted = Array.from({ length: count }, (_, place) => first + place)
      const pieces: Uint8Array[] = []
      await list.chunks.take(wanted, (chunk, piece) => (pieces[chunk - first] = piece), signal)
      for (const piece of pieces) reader.push(piece)
    }
    return new OriginalFile(parts, runs, reader.end())
  }

  /** A range of the file as pieces of at most so many bytes. */
  pieces(range: PlainRange, bytes: number): Generator<PlainRange, void> {
    return this.#runs.pieces({ start: range.start, end: Math.min(range.end, this.bytes) }, { bytes, runs: PIECE_RUNS })
  }

  /**
   * One of those pieces.
   * @param moved told of bytes as they come
   */
  async read(piece: PlainRange, moved: (bytes: number) => void, signal: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
    const target = new Uint8Array(piece.end - piece.start)
    const { own, list } = this.#parts
    const copies = new Gathering(own.item, target)
    const literals = new Gathering(list.item, target)
    for (const { copy, at, length, from } of this.#runs.within(piece)) {
      const gathering = copy ? copies : literals
      gathering.want({ at: at - piece.start, length, from })
    }
    const copied = own.isHere === true ? (): void => undefined : moved
    await Promise.all([copies.gather(own.chunks, copied, signal), literals.gather(list.chunks, moved, signal)])
    return target
  }

  /** @throws damaged_media unless these were the bytes of the whole file */
  verify(hash: IncrementalHash): void {
    const digest = hash.digest()
    if (digest.some((byte, at) => byte !== this.sha256[at])) throw damagedMedia()
  }
}

/** Bytes of one media that belong to places of a buffer. */
class Gathering {
  readonly #item: MediaReader
  readonly #target: Uint8Array
  /** By chunk: place in the buffer, place in the chunk, length; and again. */
  readonly #wanted = new Map<number, number[]>()

  constructor(item: MediaReader, target: Uint8Array) {
    this.#item = item
    this.#target = target
  }

  want({ at, length, from }: { at: number; length: number; from: number }): void {
    for (let done = 0; done < length;) {
      const chunk = chunkOfPlain(from + done, this.#item.chunkBytes)
      const part = Math.min(length - done, this.#item.plainStart(chunk + 1) - from - done)
      // The manifest's length has been compared with that of the sealed bytes, and the run with the manifest's.
      if (part <= 0) throw damagedMedia()
      const places = this.#wanted.get(chunk) ?? []
      places.push(at + done, from + done - this.#item.plainStart(chunk), part)
      this.#wanted.set(chunk, places)
      done += part
    }
  }

  gather(chunks: OwnChunks, moved: (bytes: number) => void, signal: AbortSignal): Promise<void> {
    const wanted = Array.from(this.#wanted.keys()).sort((a, b) => a - b)
    return chunks.take(wanted, (chunk, bytes) => moved(this.#place(chunk, bytes)), signal)
  }

  #place(chunk: number, bytes: Uint8Array): number {
    const places = this.#wanted.get(chunk) ?? []
    let placed = 0
    for (let next = 0; next < places.length; next += 3) {
      const [at = 0, from = 0, length = 0] = places.slice(next, next + 3)
      this.#target.set(bytes.subarray(from, from + length), at)
      placed += length
    }
    return placed
  }
}

export interface OriginalOptions extends Pick<ItemDownload, 'resume'>, Pick<ChunkStoreOptions, 'keptBytes'> {
  readonly item: ItemWithOriginal
  readonly own?: OwnMedia
}

/** Where the item's own bytes are taken from; fetches what it needs from `source`, in the download that this is. */
export type OwnMedia = (source: MediaSource, signal: AbortSignal) => Promise<OriginalParts['own']>

/**
 * Runs `work` on the original file of an item.
 * @throws damaged_media
 */
export async function withOriginal<T>(
  context: DownloadContext,
  options: OriginalOptions,
  signal: AbortSignal,
  work: (file: OriginalFile) => Promise<T>,
): Promise<T> {
  const opened = await openOriginal(context, options, signal)
  try {
    return await work(opened.file)
  } finally {
    await opened.close()
  }
}

/** As `withOriginal`; the caller closes it. */
export async function openOriginal(
  context: DownloadContext,
  { item, resume, own: ownMedia, keptBytes }: OriginalOptions,
  signal: AbortSignal,
): Promise<{ readonly file: OriginalFile; close(): Promise<void> }> {
  const { bytes, runs } = item.original
  const grants = new Grants(resume)
  const own = mediaSource(context, item, grants.options('own'))
  const list = mediaSource(context, runs, grants.options('list'))
  const close = async (): Promise<void> => {
    await own.close()
    await list.close()
  }
  try {
    const chunks = (await ownMedia?.(own, signal)) ?? opened(context, { facts: item, source: own, keptBytes })
    const parts = { bytes, own: chunks, list: opened(context, { facts: runs, source: list, keptBytes }) }
    return { file: await OriginalFile.open(parts, signal), close }
  } catch (error) {
    await close()
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
): { item: MediaReader; chunks: ChunkStore } {
  const item = new MediaReader({ source, suite, role: 'media', facts })
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

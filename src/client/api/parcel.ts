import type { CallOptions, DownloadOptions, RetryEvent, TransferOptions } from './options.ts'
import type { FilmDescription, FilmTrack, TrackMedia } from '../manifest/film-readers.ts'
import type { Preview } from '../manifest/manifest.ts'
import type { PlainRange, RandomSource, Sink } from './source-and-sink.ts'

/** One item of a parcel, as its sender describes it. Nothing of it can be trusted: `name` least of all. */
export interface ParcelItem {
  /** Position in the parcel; the same in every version. */
  readonly index: number
  /** Identifies these bytes: 32 hexadecimal digits. It changes when the item is sent again. */
  readonly id: string
  /** Untrusted: may hold `..`, slashes and control characters. `assignPaths` of `sealift/node` makes paths of it. */
  readonly name: string
  readonly type: string
  /** True length; `null` while it is not known yet. */
  readonly bytes: number | null
  /** `sending`: can be downloaded already; the download follows the upload. */
  readonly state: 'sending' | 'complete'
  /** When its file was last changed, as the sender says: RFC 3339, UTC. `null`: not given. */
  readonly modifiedAt: string | null
  readonly preview: Preview | null
  readonly hasThumbnail: boolean
  /** How it differs from what one would expect, such as why a film is a plain file. Untrusted, like `name`. */
  readonly note: string | null
  readonly video: Readonly<Record<string, unknown>> | null
}

/** How one item of `downloadAll` ended. */
export type ItemResult =
  | {
      readonly item: ParcelItem
      readonly ok: true
      /** How long it is, also when that was not known at the beginning; `null` for what was there already (`have`). */
      readonly bytes: number | null
    }
  | { readonly item: ParcelItem; readonly ok: false; readonly error: Error }

/** Which bytes of an item `stream` gives. */
export interface StreamOptions extends CallOptions {
  /** Plaintext range; the whole item when absent. It is cut at the item's length. */
  readonly range?: PlainRange
  /**
   * About so many bytes are fetched before they are read, for a reader that is slower than the network: 1 MiB at least.
   * Default: 1 MiB for each of the `parallel` ranges of the client.
   */
  readonly aheadBytes?: number
}

/** One version of what a link holds. Made by `Sealift.open`. */
export interface Parcel {
  readonly parcelId: string
  /** Grows by one each time the sender publishes more of it. */
  readonly version: number
  /** When the sender made it: RFC 3339, UTC; the sender's word. */
  readonly createdAt: string
  readonly items: readonly ParcelItem[]
  /** True when no item is being sent any more, nor anything of its film. */
  readonly complete: boolean

  /**
   * Downloads one item, its ranges in parallel. No byte reaches the sink before its chunk is authenticated, and it
   * resolves only when length, padding and the mark of the last chunk are right too: then the bytes are those that
   * were sealed, all of them. When it rejects, the sink holds some authentic bytes of the item, with gaps.
   * @throws `damaged_media`, `sender_gone`, `gone`, `downloads_exhausted`, `network`, `aborted`; what the sink throws
   */
  download(item: ParcelItem, sink: Sink, options?: DownloadOptions): Promise<void>

  /**
   * Downloads many items at once, small ones first. One that fails leaves the others alone.
   * @param target gives the sink of an item when its turn comes, or says that none is needed
   * @returns how each item ended, in the parcel's order, those left out excepted
   */
  downloadAll(target: DownloadTarget, options?: TransferOptions): Promise<readonly ItemResult[]>

  /**
   * The plaintext as a stream, whole or a range of it, each chunk authenticated before it comes out. Reads ahead by a
   * few ranges. Cancelling it ends the requests. A range says nothing of the rest of the item.
   */
  stream(item: ParcelItem, options?: StreamOptions): ReadableStream<Uint8Array<ArrayBuffer>>

  /**
   * Whether these bytes are the item's, all of them, without downloading it: they are sealed again and compared with
   * the hash in the manifest. Fetches 40 bytes, which counts as a download where downloads are counted.
   * @returns false also for an item that is still being sent
   */
  matches(
    item: ParcelItem,
    source: RandomSource,
    options?: Pick<DownloadOptions, 'signal' | 'resume'>,
  ): Promise<boolean>

  /** A small item in memory, whole. @throws `too_large` above `maxBytes` (default 64 MiB) */
  bytes(item: ParcelItem, options?: CallOptions & { readonly maxBytes?: number }): Promise<Uint8Array<ArrayBuffer>>

  /**
   * The film of an item: what there is to play, and its bytes at any offset.
   * @returns `null` when the item is no film, or one whose description cannot be read
   */
  film(item: ParcelItem): Film | null

  /** `null` when the item has none. */
  thumbnail(item: ParcelItem, options?: CallOptions): Promise<Uint8Array<ArrayBuffer> | null>

  /**
   * The next version, as soon as there is one.
   * @returns `null` when there was none within `waitSeconds` (default 30, at most 60)
   * @throws `gone`, `not_found` when the parcel has ended; `sender_gone` when its sender has published nothing for too
   *   long
   */
  next(options?: CallOptions & { readonly waitSeconds?: number }): Promise<Parcel | null>
}

/** What a player learns of a read while it runs. */
export interface FilmReadOptions extends CallOptions {
  /**
   * Called with the plaintext bytes that arrive over the network, chunk by chunk, and not for cached chunks. Chunks are
   * complete, so the sum exceeds the range. It must not throw.
   */
  readonly onFetched?: (bytes: number) => void
  /**
   * Called with the bytes of the range from front to back, once each, as soon as they are authenticated; with all of
   * them before the read resolves. They are views of what it resolves to. It must not throw.
   */
  readonly onBytes?: (bytes: Uint8Array<ArrayBuffer>) => void
  /** Called for every pause before a retry. It must not throw. */
  readonly onRetry?: (event: RetryEvent) => void
}

/** What can be played of an item, as of one version of its parcel. `Parcel.next` returns more segments. */
export interface Film {
  readonly item: ParcelItem
  readonly description: FilmDescription
  /**
   * Plaintext of a track: exactly the bytes of `range`, each chunk authenticated. Chunks that are asked for again soon,
   * such as those that two segments share, are not fetched twice.
   * @param track one of `description`, of any version of the same parcel
   * @param range at most 256 MiB, within the track's segments
   * @returns bytes that are the caller's
   * @throws damaged_media, gone, sender_gone, network, aborted; too_large
   */
  read(track: Pick<FilmTrack, 'media'>, range: PlainRange, options?: FilmReadOptions): Promise<Uint8Array<ArrayBuffer>>
  /** A complete small media item of the film, such as subtitles. At most 8 MiB. @throws as `read` */
  readWhole(media: TrackMedia, options?: FilmReadOptions): Promise<Uint8Array<ArrayBuffer>>
}

/** One item and where it goes. */
export interface DownloadTarget {
  /** Opens the sink of an item; `have`: it is there already; `null`: it is left out. */
  open(item: ParcelItem): Promise<OpenedSink | 'have' | null>
}

/** A sink that was opened for one item. */
export interface OpenedSink {
  readonly sink: Sink
  readonly resume?: DownloadOptions['resume']
  readonly keep?: DownloadOptions['keep']
  /** Called once when the item is whole (`null`) or has failed: the place to keep or drop what was written. */
  settle?(error: Error | null): Promise<void>
}

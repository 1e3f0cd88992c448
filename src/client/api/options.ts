import type { SealiftError } from '../../protocol/errors.ts'
import type { CryptoSuite } from '../../sealing/index.ts'
import type { DownloadResume, KeepPlace, Source } from './source-and-sink.ts'
import type { FilmMaker } from './outgoing-film.ts'
import type { Progress } from '../progress.ts'
import type { Preview } from '../manifest/manifest.ts'
import type { Transport } from '../transport/transport.ts'

/** How requests are repeated. There is no other layer of retries. */
export interface RetryOptions {
  /** How long one request may fail before its last error is thrown; a moved byte restarts it. Default 120 000 ms. */
  readonly patienceMs?: number
  /** Upper bound of the first pause; it doubles with each failure. Default 250 ms. */
  readonly baseMs?: number
  /** Upper bound of every pause. Default 10 000 ms. */
  readonly capMs?: number
}

/** Something failed that is worth another try, which comes after a pause. */
export interface RetryEvent {
  /** Why: the failure of the last attempt. */
  readonly error: Error
  /** How long the pause will be. */
  readonly waitMs: number
  /** For how long the same request has been failing, without a byte moved. */
  readonly failingMs: number
}

/** How a client reaches its server, seals and repeats. All but `server` has a default. */
export interface SealiftOptions {
  /** Base URL such as `https://media.example`. Needed to send; a link names its own server. */
  readonly server?: string
  /**
   * Bearer token. Sent to `server` alone, never to the server of a foreign link. `sealift/node` needs none for a
   * server on this machine that the same user runs.
   */
  readonly token?: string
  /** How requests travel. Default: `fetch`. */
  readonly transport?: Transport
  /** Who seals. Default: WebCrypto. */
  readonly suite?: CryptoSuite
  /** Parts and ranges of large items in flight at once. Default 6; 1 to 64. */
  readonly parallel?: number
  /**
   * Items of one request (up to 8 MiB) sent at once; half as many again are received at once.
   * Default 32, which is what servers allow by default; 1 to 128.
   */
  readonly parallelSmall?: number
  readonly retry?: RetryOptions
  /**
   * Called for every pause before a retry, of any request in flight: something to show when progress stalls. It must
   * not throw.
   */
  readonly onRetry?: (event: RetryEvent) => void
  /**
   * Whether the server compares every part with its digest as it arrives. Default: only where nothing else does, which
   * is plain `http` to another machine; TLS protects parts in transit, and loopback needs no protection. Costs both
   * sides a SHA-256 of all bytes. What fits into one request always carries its digest.
   */
  readonly digests?: boolean
  /**
   * Whether parts of large items may go straight to and from the store behind the server, where the server offers it.
   * A store that cannot be reached is not tried for five minutes, and everything goes through the server. Default: only
   * for the server given as `server`. Another server may name any URL as its store, so `true` has an effect there only
   * with transports that check where connections lead (Node's, without a proxy) and refuse a store in a more private
   * network than its server.
   */
  readonly direct?: boolean
  /** Longest silence of a server that is not taken for a broken connection. Default 60 000 ms. */
  readonly stallTimeoutMs?: number
}

/** What every call takes. */
export interface CallOptions {
  /** Aborting it ends the call with the error code `aborted` and frees everything it held. */
  readonly signal?: AbortSignal
}

/** What every call that moves bytes takes. */
export interface TransferOptions extends CallOptions {
  /** Called at most ten times a second, and once at the end. It must not throw. */
  readonly onProgress?: (progress: Progress) => void
}

/** One thing to send. */
export interface SendItem {
  /** As the receiver sees it; folders are written `folder/file`. At most 4096 characters. Sealed. */
  readonly name: string
  /** Media type; sealed too. Default `application/octet-stream`. */
  readonly type?: string
  readonly source: Source
  /** When its file was last changed: RFC 3339, UTC. Sealed too. */
  readonly modifiedAt?: string
  /** What to show before the bytes are there. */
  readonly preview?: Preview
  /** A small picture, sealed as its own media item and sent first. At most one part. */
  readonly thumbnail?: Uint8Array<ArrayBuffer>
  /**
   * Makes `preview` and `thumbnail` when there is time, beside what is being sent. Without them the item is sent all
   * anyway: a rejection is ignored.
   */
  readonly pictures?: (signal: AbortSignal) => Promise<ItemPictures | null>
  /** What can be played of it: `sealift/video` makes it. */
  readonly film?: FilmMaker
}

/** What shows an item before its bytes are there. */
export interface ItemPictures {
  readonly preview: Preview | null
  /** As `thumbnail` of `SendItem`. */
  readonly thumbnail: Uint8Array<ArrayBuffer> | null
}

/** How long and how often what is sent may be fetched. */
export interface LeaseOptions {
  /** How long the server keeps it. Default: the server's. */
  readonly ttlSeconds?: number
  /** How often each item may be downloaded. Default: without limit. */
  readonly maxDownloads?: number
}

/** How `send` sends. */
export interface SendOptions extends LeaseOptions, TransferOptions {
  /** Publishes the parcel before the bytes are sent, so that receivers follow the upload. Default false. */
  readonly publishFirst?: boolean
  /** Called when the link can be opened: at once with `publishFirst`, else at the end. */
  readonly onPublished?: (published: Published) => void
  /**
   * Leaves out what the server refuses for its size (`too_large`) or for the quota (`quota_exceeded`), instead of
   * failing as a whole: `refused` of the result names it. The send fails only when every item is refused. Default
   * false. Of no effect with `publishFirst`, which announces every item before it is sent.
   */
  readonly leaveOutRefused?: boolean
  /** Whether `sendFiles` sends the modification times of files, sealed. Default true. */
  readonly times?: boolean
  /** Pads every item so that its size says little; costs at most 5%. Default true. */
  readonly padding?: boolean
}

/** An item that the server did not take. */
export interface RefusedItem {
  /** Position in the list that was given. */
  readonly index: number
  readonly name: string
  /** Its `context` names the limit: `limit`, `value`, `remaining`. */
  readonly error: SealiftError
}

/** What the sender stores. Both `link` and `ownerSecret` are secrets: the first allows reading, the second deleting. */
export interface Published {
  /** For the receivers; its fragment is the key. */
  readonly link: string
  readonly parcelId: string
  /** Proves that the parcel and its media are ours: needed to delete them. */
  readonly ownerSecret: string
  /** When the server will drop the parcel: RFC 3339, UTC. */
  readonly expiresAt: string
}

/** What `forward` returns. An item whose downloads are counted is forwarded with what is left of its count. */
export interface Forwarded extends Published {
  /**
   * True when downloads of an item are counted: downloads by the new link are taken from the same count, and the item
   * ends with the media of its sender.
   */
  readonly endsWithSource: boolean
  /** How often every item can still be downloaded by the new link; `null`: not counted. */
  readonly maxDownloads: number | null
  /** When the first of the items ends. The link itself is there until `expiresAt`. */
  readonly itemsExpireAt: string
}

/** How `download` fetches. */
export interface DownloadOptions extends TransferOptions {
  /** Resumes an earlier download of this item into the same sink. */
  readonly resume?: DownloadResume
  /**
   * Storage for a film that is still being sent: with it, the film's bytes are fetched while they are sent, else when
   * all are sent. Used for sinks that are written at offsets, and items that are delivered as their original file.
   */
  readonly keep?: KeepPlace
}

/** What `send` returns. */
export interface Sent extends Published {
  /** Number of items sent. */
  readonly items: number
  /** Plaintext bytes of all of them. */
  readonly bytes: number
  /** Items left out because of `leaveOutRefused`. */
  readonly refused: readonly RefusedItem[]
}

/** How long the new link lasts, and how often each item may be downloaded through it. */
export interface ForwardOptions extends LeaseOptions, CallOptions {}

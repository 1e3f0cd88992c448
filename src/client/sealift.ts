import pLimit from 'p-limit'
import type { LimitFunction } from 'p-limit'

import { BoundedMap } from '../common/bounded-map.ts'
import { isSealiftError } from '../protocol/errors.ts'
import type { Limits } from '../protocol/response-readers.ts'
import { webSuite } from '../sealing/index.ts'
import type { CryptoSuite } from '../sealing/index.ts'
import { NO_SIGNAL } from './concurrency/abort.ts'
import { monotonicClock } from './concurrency/monotonic-clock.ts'
import { StoreConnection } from './transport/store-connection.ts'
import { fetchTransport } from './transport/fetch-transport.ts'
import { credential, tokenCredential, type ServerCredential } from './wire/credential.ts'
import { forwardParcel } from './send/forward-parcel.ts'
import { isUnprotected, parseLink, serverBase } from './link.ts'
import type { AsyncResource } from './api/async-resource.ts'
import type {
  CallOptions,
  Forwarded,
  ForwardOptions,
  SealiftOptions,
  SendItem,
  SendOptions,
  Sent,
} from './api/options.ts'
import type { Parcel } from './api/parcel.ts'
import { OpenedParcel } from './receive/opened-parcel.ts'
import { ParcelFeed } from './receive/parcel-feed.ts'
import { PartBuffers } from './bytes/buffers.ts'
import { hashingHere } from './send/part-hashing.ts'
import type { PartHashing } from './send/part-hashing.ts'
import { Retrier } from './wire/retrier.ts'
import { Semaphore } from './concurrency/semaphore.ts'
import { sendParcel } from './send/send-parcel.ts'
import type { SendJournal } from './send/send-journal.ts'
import { MemoryJournal } from './send/send-journal.ts'
import { undo } from './send/undo.ts'
import type { Undoing } from './send/undo.ts'
import type { Transport } from './transport/transport.ts'
import { Server } from './wire/http.ts'
import { deleteParcel, hasParcelEnded, noServer, readLimits } from './wire/parcels.ts'

const STALL_TIMEOUT_MS = 60_000
/** Large items at once; their parts share the parts in flight. */
const LARGE_AT_ONCE = 6
/** Small items mostly wait for responses, and many fit into this memory. */
const SMALL_BUFFER_BYTES = 32 * 1024 * 1024

/** Opened chunks that a parcel's films cache: two for each of some tracks. */
const CACHED_CHUNKS = 16

/**
 * A Sealift client. Holds no state but connections, so one is enough for a program; dispose it when done.
 * In Node, `createSealift` of `sealift/node` makes one that is faster and that resumes across processes.
 */
export class Sealift implements AsyncResource {
  readonly #options: SealiftOptions
  readonly #transport: Transport
  readonly #retrier: Retrier
  readonly #ranges: LimitFunction
  readonly #parallel: number
  readonly #parallelSmall: number
  readonly #stores = new Map<string, StoreConnection>()
  readonly #jsonOnly = new Set<string>()
  /** The cryptography that seals. */
  protected readonly suite: CryptoSuite
  /** What hashes large media items. */
  protected readonly hashing: PartHashing

  /**
   * @throws RangeError when `parallel` or `parallelSmall` is out of bounds; `invalid_request` for `server` or `token`
   */
  constructor(options: SealiftOptions = {}, hashing?: PartHashing) {
    if (options.server !== undefined) serverBase(options.server)
    this.#options =
      options.token === undefined ? options : { ...options, token: credential('The token', options.token) }
    this.#parallel = bounded('parallel', options.parallel ?? 6, 64)
    this.#parallelSmall = bounded('parallelSmall', options.parallelSmall ?? 32, 128)
    this.#transport = options.transport ?? fetchTransport()
    this.suite = options.suite ?? webSuite
    this.hashing = hashing ?? hashingHere(this.suite)
    this.#retrier = new Retrier({
      retry: options.retry,
      onRetry: options.onRetry,
      clock: monotonicClock,
      random: Math.random,
    })
    this.#ranges = pLimit(this.#parallel)
  }

  /**
   * Seals and sends items in parallel, small ones first, and publishes them as one parcel. Memory stays bounded
   * whatever the sizes of the items: `parallel` parts for large items and for each film, and 32 MiB for small ones.
   *
   * When it fails, what was sent is deleted from the server again, and the parcel too.
   * @throws `aborted`, `network`, `file_changed`, and what the server refuses: `too_large`, `quota_exceeded`, …; when
   *   it is because of one item, `context.item` is its name and `context.index` its position
   */
  async send(items: Iterable<SendItem>, options: SendOptions = {}): Promise<Sent> {
    const journal = new MemoryJournal(this.suite)
    try {
      return await this.sendWith(journal, Array.from(items), options)
    } catch (error) {
      await this.undo({
        owner: journal.parcel.owner,
        parcelId: journal.published?.parcelId ?? null,
        items: journal.items,
      })
      throw error
    }
  }

  /**
   * Reads what a link holds; no item is downloaded yet.
   * @throws `invalid_link`, `not_found`, `gone`, `damaged_media` (wrong key), `invalid_manifest`, `unsupported_version`
   */
  async open(link: string, options: CallOptions = {}): Promise<Parcel> {
    const { server: base, parcelId, key } = parseLink(link)
    const server = this.#serverOf(base)
    const { suite } = this
    const feed = new ParcelFeed({ server, parcelId, key, suite, clock: monotonicClock })
    const version = await feed.read(options.signal ?? NO_SIGNAL)
    const context = { server, suite, feed, ranges: this.#ranges, parallel: this.#parallel }
    const film = { context, chunks: new BoundedMap<string, Uint8Array<ArrayBuffer>>(CACHED_CHUNKS), media: new Map() }
    return new OpenedParcel({ context, film, clock: monotonicClock, parallelSmall: this.#parallelSmall }, version)
  }

  /**
   * Makes a new link to the same items: new leases, a new manifest under a new key, no bytes moved.
   * All items must be complete. An item whose downloads are counted is forwarded with the downloads and the time that
   * are left of it, and ends with its source; all others outlive it.
   * @throws as `open`; `upload_in_progress`, `downloads_exhausted`, `quota_exceeded`
   */
  async forward(link: string, options: ForwardOptions = {}): Promise<Forwarded> {
    const { server: base, parcelId, key } = parseLink(link)
    const server = this.#serverOf(base)
    const { signal = NO_SIGNAL, ...lease } = options
    const feed = new ParcelFeed({ server, parcelId, key, suite: this.suite, clock: monotonicClock })
    const { manifest } = await feed.read(signal)
    return forwardParcel({ server, suite: this.suite, manifest, lease, parallel: this.#parallelSmall }, signal)
  }

  /**
   * Deletes a parcel and ends the leases it covers. Repeating it is no error, nor is one that has expired.
   * @param ownerSecret of `send` or `forward`; not needed when the same token made the parcel
   * @returns false when the server says that it had ended before
   * @throws `not_found` also when it is another's
   */
  async delete(link: string, ownerSecret?: string, options: CallOptions = {}): Promise<boolean> {
    const { server: base, parcelId } = parseLink(link)
    const { signal = NO_SIGNAL } = options
    const server = this.#serverOf(base)
    const owner = ownerSecret === undefined ? undefined : credential('The owner secret', ownerSecret)
    try {
      await deleteParcel(server, { parcelId, owner }, signal)
      return true
    } catch (error) {
      // Without the secret, a caller may still learn whether the parcel has ended.
      const ended = isSealiftError(error, 'not_found') && (await hasParcelEnded(server, parcelId, signal))
      if (!ended) throw error
      return false
    }
  }

  /** What the server allows this client, what it uses and what is left. */
  async limits(options: CallOptions = {}): Promise<Limits> {
    return readLimits(this.#ownServer(), options.signal ?? NO_SIGNAL)
  }

  /** Ends all connections, and the requests that still run on them. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#transport[Symbol.asyncDispose]()
  }

  /** `send` with a journal of the caller's, and nothing undone when it fails. */
  protected sendWith(journal: SendJournal, items: readonly SendItem[], options: SendOptions): Promise<Sent> {
    const { ttlSeconds, maxDownloads } = options
    const lease = {
      ...(ttlSeconds !== undefined && { ttlSeconds }),
      ...(maxDownloads !== undefined && { maxDownloads }),
    }
    const server = this.#ownServer()
    const context = {
      server,
      digests: this.#options.digests ?? isUnprotected(server.base),
      suite: this.suite,
      making: { owner: journal.parcel.owner, lease },
      partBuffers: new PartBuffers(this.#parallel, bytes => this.hashing.allocate(bytes)),
      hashing: this.hashing,
      smallBuffers: new Semaphore(SMALL_BUFFER_BYTES),
    }
    const limits = { small: this.#parallelSmall, large: LARGE_AT_ONCE }
    return sendParcel({ context, clock: monotonicClock, journal, items, options, limits })
  }

  /** Deletes what was sent from the server. Never rejects. */
  protected async undo(undoing: Undoing): Promise<void> {
    if (this.#options.server !== undefined) await undo(this.#ownServer(), undoing)
  }

  #ownServer(): Server {
    if (this.#options.server === undefined) throw noServer()
    return this.#serverOf(this.#options.server)
  }

  /** The credential for a server, by its base URL. */
  protected credentialOf(server: string): ServerCredential {
    return tokenCredential(this.tokenFor(server))
  }

  /** The token is for the server it was given with, and never follows a link to another. */
  protected tokenFor(server: string): string | null {
    return this.#isOwn(server) ? (this.#options.token ?? null) : null
  }

  /** True for the server that the options name, by its base URL. */
  #isOwn(server: string): boolean {
    const own = this.#options.server
    return own !== undefined && serverBase(own) === server
  }

  #serverOf(server: string): Server {
    const base = serverBase(server)
    return new Server({
      store: this.#mayGoDirectly(this.#isOwn(base)) ? this.#storeOf(base) : null,
      server,
      credential: this.credentialOf(base),
      transport: this.#transport,
      retrier: this.#retrier,
      jsonOnly: this.#jsonOnly,
      stallTimeoutMs: this.#options.stallTimeoutMs ?? STALL_TIMEOUT_MS,
    })
  }

  /** Another server may name any URL as its store: that needs the option and a transport that checks connections. */
  #mayGoDirectly(isOwn: boolean): boolean {
    const { direct = isOwn } = this.#options
    return direct && (isOwn || this.#transport.judgesConnections === true)
  }

  /** One for each server, so that all transfers share what is known of its store. */
  #storeOf(server: string): StoreConnection {
    const { stallTimeoutMs = STALL_TIMEOUT_MS } = this.#options
    const store =
      this.#stores.get(server) ??
      new StoreConnection({ transport: this.#transport, clock: monotonicClock, server, stallTimeoutMs })
    this.#stores.set(server, store)
    return store
  }
}

function bounded(name: string, value: number, max: number): number {
  if (Number.isInteger(value) && value >= 1 && value <= max) return value
  throw new RangeError(`${name} must be a whole number from 1 to ${max}`)
}

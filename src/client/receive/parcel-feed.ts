import { isSealiftError, SealiftError } from '../../protocol/errors.ts'
import type { CryptoSuite } from '../../sealing/index.ts'
import type { MonotonicClock } from '../concurrency/monotonic-clock.ts'
import { isBeingSent } from '../manifest/manifest.ts'
import type { Manifest, ManifestItem } from '../manifest/manifest.ts'
import { openManifest } from '../manifest/manifest-codec.ts'
import { Semaphore } from '../concurrency/semaphore.ts'
import type { Server } from '../wire/http.ts'
import { fetchParcel } from '../wire/parcels.ts'

/** Server and reader agree on at most this long a wait. */
const MAX_WAIT_SECONDS = 60
const WAIT_SECONDS = 30
const LOOK_EVERY_MS = 3000
/** Polls at once, and the pause before another one, since a server can respond to each of them immediately. */
const POLLS_AT_ONCE = 8
const POLL_EVERY_MS = 250
/** A sender that publishes nothing for this long is considered gone, unless its manifest names an interval. */
const SENDER_TIMEOUT_MS = 10 * 60_000
/** Missed announcements tolerated: a phone may be offline for a minute. */
const MISSED_ANNOUNCEMENTS = 6

export interface ParcelAddress {
  readonly server: Server
  readonly parcelId: string
  readonly key: Uint8Array<ArrayBuffer>
}

export interface ParcelVersion {
  readonly version: number
  readonly manifest: Manifest
}

export interface ParcelFeedOptions extends ParcelAddress {
  readonly suite: CryptoSuite
  readonly clock: MonotonicClock
}

/** The versions of one parcel, as they come. */
export class ParcelFeed {
  readonly #options: ParcelFeedOptions
  /** One long poll serves all waiting callers. */
  readonly #polling = new Semaphore(1)
  #latest: ParcelVersion | null = null
  #direct = false
  #newsAt = 0
  #polls = POLLS_AT_ONCE
  #polledAt = 0

  constructor(options: ParcelFeedOptions) {
    this.#options = options
  }

  get parcelId(): string {
    return this.#options.parcelId
  }

  /** Whether media items may be fetched from the store behind the server, as of the last response. */
  get direct(): boolean {
    return this.#direct
  }

  /** The version that stands now. @throws not_found, gone, damaged_media, invalid_manifest, unsupported_version */
  async read(signal: AbortSignal): Promise<ParcelVersion> {
    const version = await this.#read({}, signal)
    if (!version) throw new SealiftError('invalid_response', 'The server gave no manifest')
    return version
  }

  /** A version after `after`, `null` when there is none within the wait. @throws sender_gone when there will be none */
  async next(after: number, waitSeconds: number, signal: AbortSignal): Promise<ParcelVersion | null> {
    return this.#polling.run(1, signal, async () => {
      if (this.#latest && this.#latest.version > after) return this.#latest
      await this.#pause(signal)
      const wait = Math.min(MAX_WAIT_SECONDS, Math.max(0, waitSeconds), this.#senderTimeoutMs / 1000)
      const version = await this.#read({ after, waitSeconds: Math.ceil(wait) }, signal)
      if (!version && this.#isSenderGone()) throw senderGone()
      return version
    })
  }

  /** Waits until the item at `index` is as `wanted` says. @throws sender_gone */
  async waitForItem<T extends ManifestItem>(
    index: number,
    wanted: (item: ManifestItem) => item is T,
    signal: AbortSignal,
  ): Promise<T> {
    let version = this.#latest ?? (await this.read(signal))
    for (;;) {
      const item = version.manifest.items[index]
      if (item && wanted(item)) return item
      version = (await this.next(version.version, WAIT_SECONDS, signal).catch(rethrowAsGone)) ?? version
    }
  }

  /**
   * As `waitForItem`, but reads a version only every three seconds. While a film is being sent, there are two versions
   * a second, and each is the complete manifest.
   * @throws sender_gone
   */
  async lookForItem<T extends ManifestItem>(
    index: number,
    wanted: (item: ManifestItem) => item is T,
    signal: AbortSignal,
  ): Promise<T> {
    for (;;) {
      const item = this.#latest?.manifest.items[index]
      if (item && wanted(item)) return item
      await this.#options.clock.sleep(LOOK_EVERY_MS, signal)
      await this.next(this.#latest?.version ?? 0, 0, signal).catch(rethrowAsGone)
    }
  }

  /** Keeps to the rate of polls, whatever the server does. */
  async #pause(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options
    this.#polls = Math.min(POLLS_AT_ONCE, this.#polls + (clock.now() - this.#polledAt) / POLL_EVERY_MS)
    this.#polledAt = clock.now()
    this.#polls -= 1
    if (this.#polls < 0) await clock.sleep(-this.#polls * POLL_EVERY_MS, signal)
  }

  get #senderTimeoutMs(): number {
    const everySeconds = this.#latest?.manifest.everySeconds
    return everySeconds === undefined ? SENDER_TIMEOUT_MS : everySeconds * 1000 * MISSED_ANNOUNCEMENTS
  }

  #isSenderGone(): boolean {
    const isSending = this.#latest?.manifest.items.some(isBeingSent) === true
    return isSending && this.#options.clock.now() - this.#newsAt >= this.#senderTimeoutMs
  }

  async #read(ask: { after?: number; waitSeconds?: number }, signal: AbortSignal): Promise<ParcelVersion | null> {
    const { server, parcelId, suite, key } = this.#options
    const response = await fetchParcel(server, { parcelId, ...ask }, signal)
    if (!response) return null
    this.#direct = response.direct
    // Versions only grow: an older one is a late response, or a server that was restored from a backup.
    if (this.#latest && response.version < this.#latest.version) return null
    if (ask.after !== undefined && response.version <= ask.after) return null
    const manifest = await openManifest(response.sealed, { suite, key })
    if (this.#latest?.version !== response.version) this.#newsAt = this.#options.clock.now()
    this.#latest = { version: response.version, manifest }
    return this.#latest
  }
}

function rethrowAsGone(error: unknown): never {
  throw isSealiftError(error, 'gone', 'not_found') ? senderGone(error) : error
}

function senderGone(cause?: unknown): SealiftError {
  return new SealiftError('sender_gone', 'The sender stopped before everything was sent', { cause })
}

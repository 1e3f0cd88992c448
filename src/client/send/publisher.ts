import { describedItem } from './check-items.ts'
import { isSealiftError } from '../../protocol/errors.ts'
import type { CryptoSuite } from '../../sealing/index.ts'
import { throwIfAborted } from '../concurrency/abort.ts'
import { toBase64Url } from '../bytes/base64url.ts'
import type { MonotonicClock } from '../concurrency/monotonic-clock.ts'
import { formatLink } from '../link.ts'
import { mediaOfItem, isBeingSent, MANIFEST_VERSION, MAX_NOTE_CHARACTERS } from '../manifest/manifest.ts'
import type { Manifest, ManifestItem, Preview, SealedMedia } from '../manifest/manifest.ts'
import { openManifest, sealManifest } from '../manifest/manifest-codec.ts'
import type { Published, SendItem } from '../api/options.ts'
import type { OutgoingFilm } from '../api/outgoing-film.ts'
import type { TaskGroup } from '../concurrency/task-group.ts'
import type { Server } from '../wire/http.ts'
import { postParcel, fetchParcel, putManifest } from '../wire/parcels.ts'
import { FilmProgress } from './film-progress.ts'
import type { Begun } from './outgoing-media.ts'
import type { SendJournal } from './send-journal.ts'

/** Least time between versions. */
const UPDATE_EVERY_MS = 500
/** Least time between comparisons with the last version, since a manifest can be long. */
const LOOK_EVERY_MS = 50
/** While items are being sent, a version is published at least this often: a heartbeat for receivers. */
const HEARTBEAT_SECONDS = 15
/** How often a version may be preceded by one that an earlier process had in flight. */
const MAX_OVERTAKEN = 5

export interface PublisherOptions {
  readonly server: Server
  readonly suite: CryptoSuite
  readonly clock: MonotonicClock
  readonly journal: SendJournal
  readonly ttlSeconds: number | undefined
  readonly items: readonly SendItem[]
  /** Wall-clock time for the manifest. */
  readonly createdAt: Date
}

/** A track of the film of an item. */
export interface TrackPosition {
  readonly index: number
  readonly track: number
}

/** Builds the manifest of one send and publishes its versions, one at a time. */
export class Publisher {
  readonly #options: PublisherOptions
  /** By their position; `null`: left out. */
  readonly #items: (ManifestItem | null)[]
  readonly #films = new Map<number, FilmProgress>()
  readonly #media = new Set<string>()
  #version: number | null = null
  #published: Published | null = null
  #changed = false
  /** The content of the last version; `null`: the next version is published in any case. */
  #publishedContent: string | null = null
  #updating: Promise<void> = Promise.resolve()
  #updateDue = false
  #updatedAtMs = Number.NEGATIVE_INFINITY
  #lookedAtMs = Number.NEGATIVE_INFINITY
  readonly #hurried = new AbortController()

  constructor(options: PublisherOptions) {
    this.#options = options
    this.#items = options.items.map(item => ({ ...describedItem(item), state: 'sending' }))
  }

  get published(): Published | null {
    return this.#published
  }

  thumbnailSent(index: number, thumbnail: SealedMedia): void {
    const item = this.#items[index]
    if (item) this.#set(index, { ...item, thumbnail }, thumbnail.media)
  }

  itemBegun(index: number, begun: Begun, bytes: number | null): void {
    const { sealedBytes, ...known } = begun
    const sizes = sealedBytes === null || bytes === null ? {} : { sealedBytes, bytes }
    const item = this.#items[index]
    if (item) this.#set(index, { ...item, ...known, ...sizes, state: 'sending' }, begun.media)
  }

  itemSent(index: number, sealed: SealedMedia): void {
    const item = this.#items[index]
    if (item) this.#set(index, { ...item, ...sealed, state: 'complete' }, sealed.media)
  }

  previewMade(index: number, preview: Preview): void {
    const item = this.#items[index]
    if (!item) return
    this.#items[index] = { ...item, preview }
    this.#changed = true
  }

  /** @param note `undefined`: nothing needs to be said any more */
  itemNoted(index: number, note: string | undefined): void {
    const item = this.#items[index]
    if (!item || item.note === note) return
    const { note: _before, ...rest } = item
    this.#items[index] = note === undefined ? rest : { ...rest, note: note.slice(0, MAX_NOTE_CHARACTERS) }
    this.#changed = true
  }

  filmBegun(index: number, film: OutgoingFilm): void {
    this.#films.set(index, new FilmProgress(film))
  }

  /** The item is a plain file: receivers must not take the film's bytes for it. */
  filmDropped(index: number): void {
    this.#films.delete(index)
    const item = this.#items[index]
    const { name, type, preview, thumbnail, modifiedAt } = item ?? {}
    if (name !== undefined && type !== undefined) {
      const told = modifiedAt !== undefined && { modifiedAt }
      const shown = { ...told, ...(preview && { preview }), ...(thumbnail && { thumbnail }) }
      this.#items[index] = { name, type, ...shown, state: 'sending' }
    }
    this.#changed = true
  }

  /**
   * Removes media items that no version covers yet, so that they can be deleted.
   * @returns those of `media` that may be deleted
   */
  async uncover(media: readonly string[]): Promise<readonly string[]> {
    // A version in flight may name them.
    for (let updating = null; updating !== this.#updating;) {
      updating = this.#updating
      await updating
    }
    const uncovered = media.filter(id => !this.#options.journal.coveredMedia.has(id))
    for (const id of uncovered) this.#media.delete(id)
    return uncovered
  }

  trackBegun({ index, track }: TrackPosition, begun: Begun): void {
    this.#films.get(index)?.trackBegun(track, begun)
    this.#cover(begun.media)
  }

  trackSent({ index, track }: TrackPosition, sealed: SealedMedia): void {
    this.#films.get(index)?.trackSent(track, sealed)
    this.#cover(sealed.media)
  }

  /** Receivers can read so many bytes from the first on: of a track, or of the item itself. */
  readable({ index, track }: TrackPosition | { readonly index: number; readonly track: null }, bytes: number): void {
    const film = this.#films.get(index)
    if (!film) return
    if (track === null) film.ownReadable(bytes)
    else film.trackReadable(track, bytes)
    this.#changed = true
  }

  /** The item will not be sent. Only before anything is published, since the position of an item never changes. */
  itemLeftOut(index: number): void {
    const thumbnail = this.#items[index]?.thumbnail?.media
    if (thumbnail !== undefined) this.#media.delete(thumbnail)
    this.#items[index] = null
  }

  /** Publishes the parcel in its current state. */
  async publish(signal: AbortSignal): Promise<Published> {
    const { journal, server } = this.#options
    if (journal.published && (await this.#resume(journal.published.parcelId, signal))) {
      return this.#announce(journal.published)
    }
    const manifest = await this.#sealed()
    const parcel = await postParcel(
      server,
      {
        ...manifest,
        owner: journal.parcel.owner,
        idempotencyKey: toBase64Url(this.#options.suite.randomBytes(24)),
        ttlSeconds: this.#options.ttlSeconds,
      },
      signal,
    )
    this.#version = parcel.version
    this.#updatedAtMs = this.#options.clock.now()
    const { parcelId, expiresAt } = parcel
    await journal.parcelPublished({ parcelId, expiresAt })
    await journal.mediaCovered(manifest.media)
    return this.#announce({ parcelId, expiresAt })
  }

  /** Publishes a version at once, or half a second after the last one. */
  updateSoon(group: TaskGroup): void {
    if (this.#version === null || this.#updateDue) return
    this.#updateDue = true
    group.spawn(async signal => {
      await this.#pause(signal)
      this.#updateDue = false
      await this.update(signal)
    })
  }

  /** Publishes heartbeats while something is being sent, even without changes. */
  async sendHeartbeats(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options
    const done = AbortSignal.any([signal, this.#hurried.signal])
    while (!done.aborted) {
      const version = this.#version
      await clock.sleep(HEARTBEAT_SECONDS * 1000, done).catch(() => undefined)
      if (done.aborted || this.#version !== version) continue
      this.#changed = true
      this.#publishedContent = null
      await this.update(signal)
    }
    throwIfAborted(signal)
  }

  /** Nothing more will change: a delayed `updateSoon` runs now. */
  hurry(): void {
    this.#hurried.abort()
  }

  /** Publishes what has changed since the last version; resolves when it is readable. */
  async update(signal: AbortSignal): Promise<void> {
    this.#updating = this.#updating.then(() => this.#replace(signal))
    await this.#updating
  }

  async #replace(signal: AbortSignal): Promise<void> {
    if (!this.#changed || this.#version === null || !this.#published) return
    // A version without changes would only delay the next one.
    if (this.#publishedContent !== null && this.#manifest().content === this.#publishedContent) {
      this.#lookedAtMs = this.#options.clock.now()
      return
    }
    this.#updatedAtMs = this.#options.clock.now()
    const { parcelId } = this.#published
    for (let overtaken = 0; ; overtaken += 1) {
      try {
        return await this.#replaceOnce(parcelId, this.#version, signal)
      } catch (error) {
        // Only this send writes this parcel: a version in between was in flight when an earlier process ended.
        if (!isSealiftError(error, 'version_mismatch') || overtaken === MAX_OVERTAKEN) throw error
        if (!(await this.#resume(parcelId, signal))) throw error
      }
    }
  }

  async #replaceOnce(parcelId: string, ifVersion: number, signal: AbortSignal): Promise<void> {
    const { server, journal } = this.#options
    const manifest = await this.#sealed()
    const request = { ...manifest, parcelId, owner: journal.parcel.owner, ifVersion }
    this.#version = await putManifest(server, request, signal)
    await journal.mediaCovered(manifest.media)
  }

  async #pause(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options
    const dueMs = Math.max(this.#updatedAtMs + UPDATE_EVERY_MS, this.#lookedAtMs + LOOK_EVERY_MS)
    const waitMs = dueMs - clock.now()
    if (waitMs <= 0) return
    try {
      await clock.sleep(waitMs, AbortSignal.any([signal, this.#hurried.signal]))
    } catch {
      throwIfAborted(signal)
    }
  }

  /**
   * Resumes with the parcel as it is on the server; false when the server does not have it any more.
   *
   * [Note: what a parcel covers] A parcel never drops a media item it covers, not even a restarted one, so every
   * version must name them all. What a version adds is in its manifest, and is written to the journal before the next
   * version is made: manifest and journal together name all.
   */
  async #resume(parcelId: string, signal: AbortSignal): Promise<boolean> {
    const { server, suite, journal } = this.#options
    const standing = await fetchParcel(server, { parcelId }, signal).catch((error: unknown) => {
      if (isSealiftError(error, 'not_found', 'gone')) return null
      throw error
    })
    if (!standing) return false
    const { items } = await openManifest(standing.sealed, { suite, key: journal.parcel.manifestKey })
    await journal.mediaCovered(items.flatMap(mediaOfItem))
    for (const media of journal.coveredMedia) this.#media.add(media)
    this.#version = standing.version
    this.#changed = true
    this.#publishedContent = null
    return true
  }

  async #sealed(): Promise<{ sealed: Uint8Array<ArrayBuffer>; media: string[] }> {
    const { suite, journal } = this.#options
    const { manifest, media, content } = this.#manifest()
    this.#publishedContent = content
    return { sealed: await sealManifest(manifest, { suite, key: journal.parcel.manifestKey }), media }
  }

  /** The current manifest with the media items that it names: items may be finished while it is being sealed. */
  #manifest(): { readonly manifest: Manifest; readonly media: string[]; readonly content: string } {
    this.#changed = false
    const items = this.#items.flatMap(
      (item, index) => (item && { ...item, ...this.#films.get(index)?.describe(item) }) || [],
    )
    const manifest = {
      v: MANIFEST_VERSION,
      createdAt: this.#options.createdAt.toISOString(),
      ...(items.some(isBeingSent) && { everySeconds: HEARTBEAT_SECONDS }),
      items,
    } as const
    const media = Array.from(this.#media)
    return { manifest, media, content: JSON.stringify([items, media]) }
  }

  #announce(parcel: { readonly parcelId: string; readonly expiresAt: string }): Published {
    const { server, journal } = this.#options
    const link = formatLink({ server: server.base, parcelId: parcel.parcelId, key: journal.parcel.manifestKey })
    this.#published = { link, ownerSecret: journal.parcel.owner, ...parcel }
    return this.#published
  }

  #set(index: number, item: ManifestItem, media: string): void {
    this.#items[index] = item
    this.#cover(media)
  }

  #cover(media: string): void {
    this.#media.add(media)
    this.#changed = true
  }
}

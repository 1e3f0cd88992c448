import type { SendItem } from '../api/options.ts'
import type { BegunFilm } from '../api/outgoing-film.ts'
import type { ProgressMeter } from '../progress.ts'
import type { Source } from '../api/source-and-sink.ts'
import { TaskGroup } from '../concurrency/task-group.ts'
import { madeParts, plainParts } from './plain-parts.ts'
import type { PlainParts } from './plain-parts.ts'
import type { Publisher } from './publisher.ts'
import { sendMedia } from './send-media.ts'
import type { OutgoingMedia, SendContext } from './outgoing-media.ts'
import type { SealedThing, SendJournal } from './send-journal.ts'
import { undo } from './undo.ts'

/** A chunk is shown only when all of it has arrived: over 10 Mbit/s, this size takes a twentieth of a second. */
const FILM_CHUNK_BYTES = 64 * 1024

export interface Outgoing {
  readonly index: number
  readonly item: SendItem
  readonly parts: PlainParts
}

export interface ItemSendOptions {
  readonly context: SendContext
  readonly journal: SendJournal
  readonly publisher: Publisher
  readonly progress: ProgressMeter
  readonly padding: boolean
  /** Receivers may read it while it is being sent. */
  readonly followable: boolean
  /** Called when a new version of the manifest would differ. */
  readonly changed: () => void
}

/** Sends one item, and the film that belongs to it. */
export class ItemSend {
  readonly #options: ItemSendOptions
  readonly #outgoing: Outgoing

  constructor(options: ItemSendOptions, outgoing: Outgoing) {
    this.#options = options
    this.#outgoing = outgoing
  }

  /** Resolves with the length of its own bytes. */
  async run(signal: AbortSignal): Promise<number> {
    const { item, parts, index } = this.#outgoing
    this.#options.progress.begin(index)
    const begun = await item.film?.begin(signal)
    this.#options.publisher.itemNoted(index, begun?.note)
    const bytes = begun?.film
      ? await this.#sendWithFilm(begun, signal)
      : await this.#sendOwn(this.#plain(parts), signal)
    this.#options.progress.finish(index, bytes)
    return bytes
  }

  /** A film that turns out to be none after all is sent as the file it is. */
  async #sendWithFilm(begun: BegunFilm, signal: AbortSignal): Promise<number> {
    try {
      return await this.#sendFilm(begun, signal)
    } catch (error) {
      if (signal.aborted || begun.isUnfit?.(error) !== true) throw error
      const { source } = this.#outgoing.item
      if (!begun.own && source instanceof ReadableStream) throw error
      await this.#forget(begun)
      this.#options.publisher.itemNoted(this.#outgoing.index, begun.unfitNote?.(error))
      return this.#sendOwn(this.#plain(plainParts(source, this.#options.padding)), signal)
    }
  }

  async #sendFilm({ film, own }: BegunFilm, signal: AbortSignal): Promise<number> {
    const { publisher, context, followable, padding } = this.#options
    publisher.filmBegun(this.#outgoing.index, film)
    // The streams of a film are made together: all are read at once, and none waits for a buffer of another.
    const apart = { ...context, partBuffers: context.partBuffers.apart(film.tracks.length + 1) }
    const group = new TaskGroup(signal)
    for (const [track, source] of film.tracks.entries())
      group.spawn(inner => this.#sendTrack({ context: apart, track, source }, inner))
    let bytes = 0
    group.spawn(async inner => {
      const parts = own ? madeParts(own.bytes, padding) : this.#outgoing.parts
      const thing: SealedThing = own ? `made/${own.way}` : 'item'
      const isWatched = own !== undefined && followable
      const chunkBytes = own ? { chunkBytes: FILM_CHUNK_BYTES } : {}
      bytes = await this.#sendOwn({ context: apart, parts, thing, isWatched, ...chunkBytes }, inner)
    })
    await group.join()
    return bytes
  }

  async #sendOwn({ context, parts, thing, ...how }: OwnBytes, signal: AbortSignal): Promise<number> {
    const { publisher, progress, journal, followable, changed } = this.#options
    const { index } = this.#outgoing
    const media: OutgoingMedia = {
      role: 'media',
      parts,
      journal: journal.item(index, thing),
      followable,
      ...how,
      moved: bytes => progress.moved(index, bytes),
      found: bytes => progress.found(index, bytes),
      begun: begun => this.#tell(() => publisher.itemBegun(index, begun, parts.dataBytes)),
      readable: bytes => this.#tell(() => publisher.readable({ index, track: null }, bytes)),
    }
    const sealed = await sendMedia(context, media, signal)
    publisher.itemSent(index, sealed)
    changed()
    return sealed.bytes
  }

  async #sendTrack({ context, track, source }: TrackToSend, signal: AbortSignal): Promise<void> {
    const { publisher, journal, padding, followable } = this.#options
    const place = { index: this.#outgoing.index, track }
    const media: OutgoingMedia = {
      role: 'media',
      parts: plainParts(source, padding),
      journal: journal.item(place.index, `track/${track}`),
      followable,
      isWatched: followable,
      chunkBytes: FILM_CHUNK_BYTES,
      moved: () => undefined,
      found: () => undefined,
      begun: begun => this.#tell(() => publisher.trackBegun(place, begun)),
      readable: bytes => this.#tell(() => publisher.readable(place, bytes)),
    }
    const sealed = await sendMedia(context, media, signal)
    this.#tell(() => publisher.trackSent(place, sealed))
  }

  #tell(change: () => void): void {
    change()
    this.#options.changed()
  }

  /** Deletes what was sent of a film that turned out to be a plain file. */
  async #forget({ film, own }: BegunFilm): Promise<void> {
    const { journal, publisher, context } = this.#options
    const { index } = this.#outgoing
    publisher.filmDropped(index)
    const things = thingsOf(film.tracks.length, own?.way)
    const journals = things.map(thing => journal.item(index, thing))
    const mediaOf = ({ upload, stored }: (typeof journals)[number]) => stored?.media ?? upload?.mediaId
    // What a readable version covers stays until the parcel ends.
    const uncovered = await publisher.uncover(journals.flatMap(each => mediaOf(each) ?? []))
    const items = journals.filter(each => uncovered.includes(mediaOf(each) ?? ''))
    await undo(context.server, { owner: journal.parcel.owner, parcelId: null, items })
    for (const each of journals) await each.restart()
  }

  #plain(parts: PlainParts): OwnBytes {
    return { context: this.#options.context, parts, thing: 'item', isWatched: false }
  }
}

/** What is sealed of a film, and of the item's own bytes where they are made. */
export function thingsOf(tracks: number, way: string | undefined): SealedThing[] {
  const sealed = Array.from({ length: tracks }, (_, track): SealedThing => `track/${track}`)
  return way === undefined ? sealed : [...sealed, `made/${way}`]
}

interface OwnBytes {
  readonly context: SendContext
  readonly parts: PlainParts
  readonly thing: SealedThing
  readonly isWatched: boolean
  readonly chunkBytes?: number
}

interface TrackToSend {
  readonly context: SendContext
  readonly track: number
  readonly source: Source
}

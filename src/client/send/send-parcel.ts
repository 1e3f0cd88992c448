import { isSealiftError, SealiftError } from '../../protocol/errors.ts'
import { NO_SIGNAL } from '../abort.ts'
import type { Clock } from '../clock.ts'
import { manifestItemSchema } from '../manifest.ts'
import type { RefusedItem, SendItem, SendOptions } from '../options.ts'
import type { Source } from '../source.ts'
import { laneOf, Lanes } from '../lanes.ts'
import { ProgressMeter } from '../progress-meter.ts'
import { isPassing } from '../retry.ts'
import type { Sent } from '../sealift.ts'
import { TaskGroup } from '../task-group.ts'
import { plainParts } from './plain-parts.ts'
import type { PlainParts } from './plain-parts.ts'
import { Publisher } from './publisher.ts'
import { ONE_REQUEST_BYTES, sendMedia } from './send-media.ts'
import type { Begun, SendContext } from './send-media.ts'
import type { SendJournal } from './send-journal.ts'
import { undo } from './undo.ts'

export interface SendParcelOptions {
  readonly context: SendContext
  readonly clock: Clock
  readonly journal: SendJournal
  readonly items: readonly SendItem[]
  readonly options: SendOptions
  /** Media at once: those of one request, and those of many parts. */
  readonly limits: { readonly small: number; readonly large: number }
}

/** Sends items and publishes them. What was sent stays where it is when it fails: see `undo.ts`. */
export async function sendParcel(send: SendParcelOptions): Promise<Sent> {
  for (const item of send.items) assertSendable(item)
  const run = new SendRun(send)
  return run.run(send.options.signal ?? NO_SIGNAL)
}

function assertSendable(item: SendItem): void {
  const { name, type = 'application/octet-stream', preview } = item
  const checked = manifestItemSchema.safeParse({ name, type, preview, state: 'sending' })
  if (checked.success) return
  const fields = checked.error.issues.map(issue => issue.path.join('.')).join(', ')
  throw new SealiftError('invalid_request', `An item cannot be sent: look at its ${fields}`)
}

interface Outgoing {
  readonly index: number
  readonly item: SendItem
  readonly parts: PlainParts
}

class SendRun {
  readonly #send: SendParcelOptions
  readonly #publisher: Publisher
  readonly #progress: ProgressMeter
  readonly #outgoing: readonly Outgoing[]
  readonly #refused: RefusedItem[] = []
  #bytes = 0
  #left: number

  constructor(send: SendParcelOptions) {
    const { context, clock, journal, items, options } = send
    const { server, suite } = context
    const createdAt = new Date()
    this.#send = send
    this.#left = items.length
    this.#publisher = new Publisher({ server, suite, clock, journal, ttlSeconds: options.ttlSeconds, items, createdAt })
    this.#progress = new ProgressMeter(clock, options.onProgress)
    this.#outgoing = items.map((item, index) => {
      const parts = plainParts(item.source, options.padding ?? true)
      this.#progress.add({ index, name: item.name, totalBytes: parts.dataBytes })
      return { index, item, parts }
    })
  }

  async run(signal: AbortSignal): Promise<Sent> {
    const { options } = this.#send
    const group = new TaskGroup(signal)
    const early = options.publishFirst === true
    if (early) await this.#publish(group.signal)
    this.#spawnAll(group, early)
    await group.join()
    this.#assertSomethingSent()
    const published = early ? await this.#finish(signal) : await this.#publish(signal)
    this.#progress.flush()
    const refused = this.#refused.toSorted((a, b) => a.index - b.index)
    return { ...published, items: this.#outgoing.length - refused.length, bytes: this.#bytes, refused }
  }

  /** Thumbnails first; then each lane by size, what is of unknown length last. */
  #spawnAll(group: TaskGroup, early: boolean): void {
    const lanes = new Lanes(this.#send.limits)
    const changed = (): void => this.#publisher.updateSoon(group)
    const thumbnails = this.#outgoing.filter(({ item }) => item.thumbnail)
    const planned = this.#outgoing
      .toSorted((a, b) => sizeOf(a) - sizeOf(b))
      .map(outgoing => ({ outgoing, lane: laneOf(outgoing.parts.paddedBytes, ONE_REQUEST_BYTES) }))
    lanes.announce([...thumbnails.map(() => 'tiny' as const), ...planned.map(({ lane }) => lane)])
    for (const outgoing of thumbnails) {
      group.spawn(signal => lanes.run('tiny', () => this.#sendThumbnail(outgoing, signal).then(changed)))
    }
    for (const { outgoing, lane } of planned) {
      const followable = early && lane === 'large'
      const send = (signal: AbortSignal): Promise<void> => this.#sendItem(outgoing, { signal, followable, changed })
      group.spawn(signal => lanes.run(lane, () => send(signal).catch(error => this.#failed(outgoing, error))))
    }
  }

  /** Whether an item that failed is left out. @throws the error, with the item it is about */
  async #failed({ index, item }: Outgoing, thrown: unknown): Promise<void> {
    const error = aboutItem(thrown, { index, name: item.name })
    const { options, journal, context } = this.#send
    const mayLeaveOut = options.leaveOutRefused === true && options.publishFirst !== true
    if (!mayLeaveOut || !isSealiftError(error, 'too_large', 'quota_exceeded')) throw error
    this.#refused.push({ index, name: item.name, error })
    this.#publisher.itemLeftOut(index)
    this.#progress.leaveOut(index)
    this.#left -= 1
    const tracks = item.film?.tracks.map((_, track) => journal.item(index, `track/${track}`)) ?? []
    const journals = [journal.item(index, 'item'), journal.item(index, 'thumbnail'), ...tracks]
    await undo(context.server, { owner: journal.parcel.owner, parcelId: null, items: journals })
    for (const each of journals) await each.restart()
  }

  /** @throws the first refusal when everything was refused */
  #assertSomethingSent(): void {
    const [first] = this.#refused
    if (first && this.#refused.length === this.#outgoing.length) throw first.error
  }

  async #sendThumbnail({ index, item }: Outgoing, signal: AbortSignal): Promise<void> {
    const sealed = await sendMedia(
      this.#send.context,
      {
        role: 'thumbnail',
        parts: plainParts(item.thumbnail ?? new Uint8Array(0), true),
        journal: this.#send.journal.item(index, 'thumbnail'),
        followable: false,
        moved: () => undefined,
        found: () => undefined,
        begun: () => undefined,
      },
      signal,
    )
    this.#publisher.thumbnailSent(index, sealed)
  }

  async #sendItem(
    outgoing: Outgoing,
    how: { signal: AbortSignal; followable: boolean; changed: () => void },
  ): Promise<void> {
    const { index, parts, item } = outgoing
    this.#progress.begin(index)
    const group = new TaskGroup(how.signal)
    // Streams of one film are made together: all of them are read at once, whatever else waits.
    const context = item.film ? this.#filmContext(item.film.tracks.length) : this.#send.context
    for (const [track, source] of item.film?.tracks.entries() ?? [])
      group.spawn(signal => this.#sendTrack(context, { ...how, signal, index, track, source }))
    group.spawn(async signal => {
      const media = {
        role: 'media',
        parts,
        journal: this.#send.journal.item(index, 'item'),
        followable: how.followable,
        ...partsOf(item, how.followable),
        moved: (bytes: number) => this.#progress.moved(index, bytes),
        found: (bytes: number) => this.#progress.found(index, bytes),
        begun: (begun: Begun) => this.#begun(outgoing, begun, how.changed),
        readable: (bytes: number) => this.#readable({ index, track: null }, bytes, how.changed),
      } as const
      const sealed = await sendMedia(context, media, signal)
      this.#publisher.itemSent(index, sealed)
      this.#bytes += sealed.bytes
    })
    await group.join()
    this.#sent(outgoing)
    how.changed()
  }

  async #sendTrack(
    context: SendContext,
    { index, track, source, signal, followable, changed }: TrackToSend,
  ): Promise<void> {
    const place = { index, track }
    const sealed = await sendMedia(
      context,
      {
        role: 'media',
        parts: plainParts(source, this.#send.options.padding ?? true),
        journal: this.#send.journal.item(index, `track/${track}`),
        followable,
        ...partsOf({ film: true }, followable),
        moved: () => undefined,
        found: () => undefined,
        begun: begun => {
          this.#publisher.trackBegun(place, begun)
          changed()
        },
        readable: bytes => this.#readable(place, bytes, changed),
      },
      signal,
    )
    this.#publisher.trackSent(place, sealed)
    changed()
  }

  #readable(place: Parameters<Publisher['readable']>[0], bytes: number, changed: () => void): void {
    this.#publisher.readable(place, bytes)
    changed()
  }

  /** Buffers of its own, so that no track waits for a buffer that another one of the same film holds. */
  #filmContext(tracks: number): SendContext {
    const { context } = this.#send
    return { ...context, partBuffers: context.partBuffers.apart(tracks + 1) }
  }

  #begun({ index, parts }: Outgoing, begun: Begun, changed: () => void): void {
    this.#publisher.itemBegun(index, begun, parts.dataBytes)
    changed()
  }

  #sent({ index, parts }: Outgoing): void {
    this.#progress.finish(index, parts.dataBytes ?? 0)
    this.#left -= 1
    if (this.#left === 0) this.#publisher.hurry()
  }

  async #publish(signal: AbortSignal): ReturnType<Publisher['publish']> {
    const published = await this.#publisher.publish(signal)
    // A parcel that an earlier process published may lack what has been sent since.
    await this.#publisher.update(signal)
    this.#send.options.onPublished?.(published)
    return published
  }

  async #finish(signal: AbortSignal): ReturnType<Publisher['publish']> {
    await this.#publisher.update(signal)
    return this.#publisher.published ?? this.#publish(signal)
  }
}

interface TrackToSend {
  readonly index: number
  readonly track: number
  readonly source: Source
  readonly signal: AbortSignal
  readonly followable: boolean
  readonly changed: () => void
}

/** What is watched while it is sent goes in small parts: a receiver can read no sooner than a part has arrived. */
const WATCHED_PART_BYTES = 256 * 1024

function partsOf({ film }: { readonly film?: unknown }, watched: boolean): { partBytes?: number } {
  return film !== undefined && watched ? { partBytes: WATCHED_PART_BYTES } : {}
}

/** Says which item an error is about; in its context alone, for messages may end up in logs. */
function aboutItem(error: unknown, { index, name }: { index: number; name: string }): unknown {
  if (!isSealiftError(error) || error.code === 'aborted' || isPassing(error)) return error
  const context = { ...error.context, item: name, index }
  return new SealiftError(error.code, error.message, { context, cause: error })
}

function sizeOf({ parts }: Outgoing): number {
  return parts.dataBytes ?? Number.MAX_SAFE_INTEGER
}

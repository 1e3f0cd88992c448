import { isSealiftError, SealiftError } from '../../protocol/errors.ts'
import { read } from '../../protocol/reader.ts'
import pLimit from 'p-limit'

import { NO_SIGNAL, throwIfAborted } from '../concurrency/abort.ts'
import type { MonotonicClock } from '../concurrency/monotonic-clock.ts'
import { manifestItemReader, previewReader } from '../manifest/manifest-readers.ts'
import type { RefusedItem, SendItem, SendOptions, Sent } from '../api/options.ts'
import { laneOf, ItemLanes } from '../concurrency/item-lanes.ts'
import type { Lane } from '../concurrency/item-lanes.ts'
import { ProgressMeter } from '../progress.ts'
import { isPassing } from '../wire/retrier.ts'
import { TaskGroup } from '../concurrency/task-group.ts'
import { checkManifestFits, describedItem } from './check-items.ts'
import { plainParts } from './plain-parts.ts'
import { Publisher } from './publisher.ts'
import { ItemSend } from './send-item.ts'
import type { Outgoing } from './send-item.ts'
import { ONE_REQUEST_BYTES, sendMedia } from './send-media.ts'
import type { SendContext } from './outgoing-media.ts'
import type { SendJournal } from './send-journal.ts'
import { undo } from './undo.ts'

const PICTURES_AT_ONCE = 2

export interface SendParcelOptions {
  readonly context: SendContext
  readonly clock: MonotonicClock
  readonly journal: SendJournal
  readonly items: readonly SendItem[]
  readonly options: SendOptions
  /** Media at once: those of one request, and those of many parts. */
  readonly limits: { readonly small: number; readonly large: number }
}

/** Sends items and publishes them. What was sent stays where it is when it fails: see `undo.ts`. */
export async function sendParcel(send: SendParcelOptions): Promise<Sent> {
  const { items, context, options } = send
  for (const item of items) assertSendable(item)
  const signal = options.signal ?? NO_SIGNAL
  await checkManifestFits(context.server, { items, padding: options.padding ?? true }, signal)
  return new SendRun(send).run(signal)
}

function assertSendable(item: SendItem): void {
  const { refused } = read(manifestItemReader, { ...describedItem(item), state: 'sending' })
  if (refused.length === 0) return
  const fields = refused.join(', ')
  throw new SealiftError('invalid_request', `An item cannot be sent: look at its ${fields}`)
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
    if (early && this.#left > 0) group.spawn(inner => this.#publisher.sendHeartbeats(inner))
    await group.join()
    this.#assertSomethingSent()
    const published = early ? await this.#finish(signal) : await this.#publish(signal)
    this.#progress.flush()
    const refused = this.#refused.toSorted((a, b) => a.index - b.index)
    return { ...published, items: this.#outgoing.length - refused.length, bytes: this.#bytes, refused }
  }

  /** Thumbnails first; then each lane by size, what is of unknown length last. */
  #spawnAll(group: TaskGroup, early: boolean): void {
    const lanes = new ItemLanes(this.#send.limits)
    const changed = (): void => this.#publisher.updateSoon(group)
    const thumbnails = this.#outgoing.filter(({ item }) => item.thumbnail)
    const planned = this.#outgoing
      .toSorted((a, b) => sizeOf(a) - sizeOf(b))
      .map(outgoing => ({ outgoing, lane: laneOfItem(outgoing) }))
    lanes.announce([...thumbnails.map(() => 'tiny' as const), ...planned.map(({ lane }) => lane)])
    for (const { index, item } of thumbnails) {
      const thumbnail = { index, bytes: item.thumbnail ?? new Uint8Array(0) }
      group.spawn(signal => lanes.run('tiny', () => this.#sendThumbnail(thumbnail, signal).then(changed)))
    }
    const making = pLimit(PICTURES_AT_ONCE)
    for (const outgoing of this.#outgoing.filter(({ item }) => item.pictures))
      group.spawn(signal => making(() => this.#makePictures(outgoing, signal).then(changed)))
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
    const journals = journal.things(index)
    await undo(context.server, { owner: journal.parcel.owner, parcelId: null, items: journals })
    for (const each of journals) await each.restart()
  }

  /** @throws the first refusal when everything was refused */
  #assertSomethingSent(): void {
    const [first] = this.#refused
    if (first && this.#refused.length === this.#outgoing.length) throw first.error
  }

  async #makePictures({ index, item }: Outgoing, signal: AbortSignal): Promise<void> {
    throwIfAborted(signal)
    const pictures = await item.pictures?.(signal).catch(() => null)
    throwIfAborted(signal)
    const preview = read(previewReader, pictures?.preview).value
    if (preview) this.#publisher.previewMade(index, preview)
    if (pictures?.thumbnail) await this.#sendThumbnail({ index, bytes: pictures.thumbnail }, signal)
  }

  async #sendThumbnail(
    { index, bytes }: { index: number; bytes: Uint8Array<ArrayBuffer> },
    signal: AbortSignal,
  ): Promise<void> {
    const sealed = await sendMedia(
      this.#send.context,
      {
        role: 'thumbnail',
        parts: plainParts(bytes, true),
        journal: this.#send.journal.item(index, 'thumbnail'),
        followable: false,
        isWatched: false,
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
    { signal, ...how }: { signal: AbortSignal; followable: boolean; changed: () => void },
  ): Promise<void> {
    const { context, journal, options } = this.#send
    const [publisher, progress] = [this.#publisher, this.#progress]
    const padding = options.padding ?? true
    const sending = new ItemSend({ context, journal, publisher, progress, padding, ...how }, outgoing)
    const bytes = await sending.run(signal)
    this.#bytes += bytes
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

/** Names the item of an error in its context alone, since messages may be logged. */
function aboutItem(error: unknown, { index, name }: { index: number; name: string }): unknown {
  if (!isSealiftError(error) || error.code === 'aborted' || isPassing(error)) return error
  const context = { ...error.context, item: name, index }
  return new SealiftError(error.code, error.message, { context, cause: error })
}

/** Films are made while they are sent: few at once, whatever their size. */
function laneOfItem({ item, parts }: Outgoing): Lane {
  return item.film ? 'large' : laneOf(parts.paddedBytes, ONE_REQUEST_BYTES)
}

function sizeOf({ parts }: Outgoing): number {
  return parts.dataBytes ?? Number.MAX_SAFE_INTEGER
}

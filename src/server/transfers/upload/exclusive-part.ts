import { setTimeout as sleep } from 'node:timers/promises'

import { SealiftError } from '../../../protocol/errors.ts'
import type { ChangeFeed } from '../../change-feed/change-feed.ts'

/** Why a part's request is ended while it still sends, on whichever node that is noticed. */
export const takenOver = (): SealiftError => new SealiftError('unavailable', 'Another request sends this part by now')
export const givenUp = (): SealiftError => new SealiftError('gone', 'The upload was given up')
export const completedWithout = (): SealiftError =>
  new SealiftError('upload_complete', 'The upload was completed without this part')

interface Holder {
  readonly controller: AbortController
  readonly settled: Promise<void>
}

/**
 * Who is writing which part right now. One part has one writer; a newer request for the same part takes over, since
 * the older one is most likely a connection that died without telling.
 */
export class PartsInFlight {
  readonly #uploads = new Map<string, Map<number, Holder>>()

  /** Runs `write` as the only writer of this part; its signal aborts when another takes over or the upload ends. */
  async exclusive<T>(uploadId: string, index: number, write: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const earlier = this.#uploads.get(uploadId)?.get(index)
    const controller = new AbortController()
    const { promise: settled, resolve: settle } = Promise.withResolvers<void>()
    const holder = { controller, settled }
    this.#partsOf(uploadId).set(index, holder)
    earlier?.controller.abort(takenOver())
    try {
      await earlier?.settled
      controller.signal.throwIfAborted()
      return await write(controller.signal)
    } finally {
      settle()
      this.#release(uploadId, index, holder)
    }
  }

  /** Stops every writer of an upload and waits until none touches its bytes any more. */
  async stopAll(uploadId: string, reason: SealiftError): Promise<void> {
    const holders = [...(this.#uploads.get(uploadId)?.values() ?? [])]
    for (const { controller } of holders) controller.abort(reason)
    await Promise.all(holders.map(({ settled }) => settled))
  }

  #partsOf(uploadId: string): Map<number, Holder> {
    const known = this.#uploads.get(uploadId)
    if (known) return known
    const parts = new Map<number, Holder>()
    this.#uploads.set(uploadId, parts)
    return parts
  }

  #release(uploadId: string, index: number, holder: Holder): void {
    const parts = this.#uploads.get(uploadId)
    if (parts?.get(index) !== holder) return
    parts.delete(index)
    if (parts.size === 0) this.#uploads.delete(uploadId)
  }
}

export interface PartWatchOptions {
  readonly feed: ChangeFeed
  readonly topics: readonly string[]
  /** Asks the records why the part need not be received any more; `null` while it does. */
  readonly why: () => Promise<SealiftError | null>
}

/** The least time between two looks, however often somebody announces. */
const LOOKS_APART_MS = 1000
/** Nobody looks unless it was announced; this is only about the longest that a timer can be set for. */
const DAYS_MS = 7 * 86_400_000

/**
 * Notices, while a part is received, that another node made it pointless: it stored this part, or ended the upload.
 * The feed is the hint, the records are the truth.
 */
export class PartWatch implements Disposable {
  readonly #options: PartWatchOptions
  readonly #pointless = new AbortController()
  readonly #over = new AbortController()
  /** Announced since the last look. */
  #announced = false
  #isLooking = false

  constructor(options: PartWatchOptions) {
    this.#options = options
    for (const topic of options.topics) void this.#hear(topic)
  }

  /** Aborts with what the request is to be refused with. */
  get signal(): AbortSignal {
    return this.#pointless.signal
  }

  [Symbol.dispose](): void {
    this.#over.abort()
  }

  /** Never rejects; ends with the watch. */
  async #hear(topic: string): Promise<void> {
    const { signal } = this.#over
    using changes = this.#options.feed.listen(topic)
    while (!signal.aborted) {
      const announced = await changes.next(DAYS_MS, signal).catch(() => false)
      if (announced) void this.#look()
    }
  }

  /** One at a time, also for several topics; what is announced meanwhile is looked for afterwards. */
  async #look(): Promise<void> {
    this.#announced = true
    if (this.#isLooking) return
    this.#isLooking = true
    while (this.#announced && !this.#over.signal.aborted) {
      this.#announced = false
      // Records that do not answer say nothing: the part goes on.
      const reason = await this.#options.why().catch(() => null)
      if (reason) this.#pointless.abort(reason)
      await sleep(LOOKS_APART_MS, undefined, { signal: this.#over.signal }).catch(() => undefined)
    }
    this.#isLooking = false
  }
}

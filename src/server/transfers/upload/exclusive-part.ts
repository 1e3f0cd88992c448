import { setTimeout as sleep } from 'node:timers/promises'

import { SealiftError } from '../../../protocol/errors.ts'
import type { ChangeFeed } from '../../change-feed/change-feed.ts'

/** Reasons to abort the request of a part. */
export const takenOver = (): SealiftError =>
  new SealiftError('unavailable', 'Superseded by a newer upload of this part')
export const givenUp = (): SealiftError => new SealiftError('gone', 'The upload was given up')
export const completedWithout = (): SealiftError =>
  new SealiftError('upload_complete', 'The upload was completed without this part')

interface Holder {
  readonly controller: AbortController
  readonly settled: Promise<void>
}

/**
 * The one writer of each part within this process. A newer request for the same part takes over, since the older one is
 * most likely a dead connection.
 */
export class ExclusiveParts {
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

  /** Aborts every writer of an upload and waits until each has ended. */
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
  /** The reason to abort the request, by the records; `null`: continue. */
  readonly why: () => Promise<SealiftError | null>
}

/** The least time between two lookups, however frequent the announcements are. */
const LOOKUPS_APART_MS = 1000
/** Lookups follow announcements only; this is a long timeout that a timer still supports. */
const DAYS_MS = 7 * 86_400_000

/**
 * Aborts the request of a part when another node has stored this part or ended the upload. The feed is a hint; the
 * records decide.
 */
export class PartWatch implements Disposable {
  readonly #options: PartWatchOptions
  readonly #superseded = new AbortController()
  readonly #over = new AbortController()
  /** Announced since the last lookup. */
  #announced = false
  #isChecking = false

  constructor(options: PartWatchOptions) {
    this.#options = options
    for (const topic of options.topics) void this.#listen(topic)
  }

  /** Aborts with the error of the response. */
  get signal(): AbortSignal {
    return this.#superseded.signal
  }

  [Symbol.dispose](): void {
    this.#over.abort()
  }

  /** Never rejects; ends with the watch. */
  async #listen(topic: string): Promise<void> {
    const { signal } = this.#over
    using changes = this.#options.feed.listen(topic)
    while (!signal.aborted) {
      const announced = await changes.next(DAYS_MS, signal).catch(() => false)
      if (announced) void this.#check()
    }
  }

  /** One at a time for all topics; an announcement meanwhile causes another. */
  async #check(): Promise<void> {
    this.#announced = true
    if (this.#isChecking) return
    this.#isChecking = true
    while (this.#announced && !this.#over.signal.aborted) {
      this.#announced = false
      // Without the records there is no reason to abort.
      const reason = await this.#options.why().catch(() => null)
      if (reason) this.#superseded.abort(reason)
      await sleep(LOOKUPS_APART_MS, undefined, { signal: this.#over.signal }).catch(() => undefined)
    }
    this.#isChecking = false
  }
}

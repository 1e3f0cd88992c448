import { setTimeout as sleep } from 'node:timers/promises'

import type { SealiftError } from '../../../protocol/errors.ts'
import type { ChangeFeed } from '../../change-feed/change-feed.ts'

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

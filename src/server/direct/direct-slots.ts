/**
 * Slots of transfers that do not pass this server: nobody can see them end, so each is held until the client says that it
 * is over, or its addresses expire. Whoever hears the end, on whichever node, announces it; the node that holds the slot
 * listens.
 */
import type { TransferSlot } from '../limits/limiter.ts'
import type { ChangeFeed, ChangeListener } from '../records/change-feed.ts'

export class DirectSlots implements Disposable {
  readonly #feed: ChangeFeed
  readonly #stop = new AbortController()

  constructor(feed: ChangeFeed) {
    this.#feed = feed
  }

  /** Takes over the slot: it is free `ttlMs` from now, or as soon as its transfer is ended. */
  hold(transfer: string, slot: TransferSlot, ttlMs: number): void {
    void this.#free(slot, this.#feed.listen(directTopic(transfer)), ttlMs)
  }

  /** Ends a transfer, wherever its slot is held. One that is unknown or over is no error. */
  end(transfer: string): void {
    this.#feed.announce(directTopic(transfer))
  }

  [Symbol.dispose](): void {
    this.#stop.abort()
  }

  async #free(held: TransferSlot, listening: ChangeListener, ttlMs: number): Promise<void> {
    using slot = held
    using listener = listening
    const over = AbortSignal.any([this.#stop.signal, slot.signal])
    await listener.next(ttlMs, over).catch(() => false)
  }
}

const directTopic = (transfer: string): string => `direct/${transfer}`

/** Names the transfer of one part of an upload. */
export const partTransfer = (uploadId: string, index: number): string => `${uploadId}/${index}`

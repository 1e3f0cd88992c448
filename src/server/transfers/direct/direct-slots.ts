/**
 * Slots of transfers that do not pass this server: nobody can see them end, so each is held until the client says that it
 * is over, or its addresses expire. Whoever hears the end, on whichever node, announces it; the node that holds the slot
 * listens.
 */
import { createHash } from 'node:crypto'

import { newId } from '../../../protocol/ids.ts'
import type { TransferSlot } from '../../limits/limiter.ts'
import type { ChangeFeed } from '../../change-feed/change-feed.ts'

export class DirectSlots implements Disposable {
  readonly #feed: ChangeFeed
  readonly #stop = new AbortController()
  readonly #held = new Map<string, TransferSlot>()

  constructor(feed: ChangeFeed) {
    this.#feed = feed
  }

  /** Takes over the slot: it is free `ttlMs` from now, or as soon as its transfer is ended. */
  hold(transfer: string, slot: TransferSlot, ttlMs: number): void {
    this.#release(transfer)
    this.#held.set(transfer, slot)
    void this.#watch(transfer, slot, ttlMs)
  }

  /** Ends a transfer, wherever its slot is held; here it is free when this returns. One that is unknown is no error. */
  end(transfer: string): void {
    this.#release(transfer)
    this.#feed.announce(directTopic(transfer))
  }

  [Symbol.dispose](): void {
    this.#stop.abort()
  }

  async #watch(transfer: string, slot: TransferSlot, ttlMs: number): Promise<void> {
    using listener = this.#feed.listen(directTopic(transfer))
    using control = this.#feed.listen(NOTHING)
    const over = AbortSignal.any([this.#stop.signal, slot.signal])
    const endsAtMs = performance.now() + ttlMs
    const isOver = async (): Promise<boolean> => {
      const announced = await listener.next(Math.max(0, endsAtMs - performance.now()), over)
      return !announced || !(await control.next(0, over))
    }
    try {
      while (!(await isOver()));
    } catch {
      // The server stops, or the slot was taken away.
    }
    if (this.#held.get(transfer) === slot) this.#release(transfer)
  }

  #release(transfer: string): void {
    this.#held.get(transfer)?.[Symbol.dispose]()
    this.#held.delete(transfer)
  }
}

/**
 * What nobody ever announces. Whoever is woken on it was woken because everybody is, when messages may have been lost:
 * that says of no transfer that it is over.
 */
const NOTHING = 'direct'

const directTopic = (transfer: string): string => `direct/${transfer}`

/** Names the transfer of one part of an upload: always the same, and as secret as the upload's id. */
export function partTransfer(uploadId: string, index: number): string {
  return newId(byteCount => createHash('sha256').update(`${uploadId}/${index}`).digest().subarray(0, byteCount))
}

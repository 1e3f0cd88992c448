import { createHash } from 'node:crypto'

import { SealiftError } from '../../../protocol/errors.ts'
import type { BlobStore, GrantsDirectAccess } from '../../blobs/blob-store.ts'
import type { Caller } from '../../access/caller.ts'
import type { RateLimiter, SlotLimiter, TransferDirection, TransferSlot } from '../../limits/limiter.ts'
import { bytesPerSecond, chargeFor, pauseFor } from '../../limits/pacing.ts'
import { newId } from '../../../protocol/ids.ts'
import type { ChangeFeed } from '../../change-feed/change-feed.ts'

/** What presigned URLs need. */
export interface DirectAccess {
  readonly blobs: BlobStore
  readonly slots: SlotLimiter
  readonly directSlots: DirectSlots
  readonly rates: RateLimiter
  readonly direct: () => { readonly enabled: boolean; readonly ttlMs: number }
}

/** The store, if clients may go to it. @throws not_direct */
export function requireDirect({ blobs, direct }: DirectAccess): GrantsDirectAccess {
  if (direct().enabled && grantsDirectAccess(blobs)) return blobs
  throw new SealiftError('not_direct', 'This server issues no presigned URLs: send and fetch through it')
}

/**
 * A response that pacing delays for longer may run into a timeout of the client or a proxy. Its repetition would be
 * charged again.
 */
const AHEAD_SECONDS = 2

/** The most bytes that one presigned URL, or one response with several, may be for. */
export function bytesAhead({ tier }: Pick<Caller, 'tier'>, direction: TransferDirection): number {
  const perSecond = bytesPerSecond({ tier, direction })
  return perSecond === 0 ? Infinity : perSecond * AHEAD_SECONDS
}

export function tooSlowForParts(): SealiftError {
  const message =
    'At the byte rate of this client, pacing would delay the presigned URL of a part for too long: use the server'
  return new SealiftError('not_direct', message)
}

/**
 * Pacing for bytes that do not pass this server: they are charged in advance, and the response is delayed for as long
 * as they would have taken.
 */
export async function payAhead(
  { rates }: DirectAccess,
  { client, tier }: Caller,
  { direction, bytes }: { readonly direction: TransferDirection; readonly bytes: number },
  signal: AbortSignal,
): Promise<void> {
  const charge = chargeFor(rates, { clientId: client.clientId, tier, direction })
  if (charge) await pauseFor(await charge(bytes, signal), signal)
}

function grantsDirectAccess(blobs: BlobStore): blobs is BlobStore & GrantsDirectAccess {
  return 'presignPart' in blobs && 'presignRead' in blobs && 'statPart' in blobs
}

/**
 * Slots of direct transfers. The server does not see their end, so each is held until the client reports it or the
 * presigned URLs expire. The node that receives the report announces it; the node that holds the slot listens.
 */
export class DirectSlots implements Disposable {
  readonly #feed: ChangeFeed
  readonly #stop = new AbortController()
  readonly #held = new Map<string, TransferSlot>()

  constructor(feed: ChangeFeed) {
    this.#feed = feed
  }

  /** Takes over the slot and releases it after `ttlMs`, or when its transfer ends. */
  hold(transfer: string, slot: TransferSlot, ttlMs: number): void {
    this.#release(transfer)
    this.#held.set(transfer, slot)
    void this.#watch(transfer, slot, ttlMs)
  }

  /**
   * Ends a transfer on whichever node holds its slot; on this one the slot is free at once. An unknown one is no error.
   */
  end(transfer: string): void {
    this.#release(transfer)
    this.#feed.announce(directTopic(transfer))
  }

  [Symbol.dispose](): void {
    this.#stop.abort()
  }

  async #watch(transfer: string, slot: TransferSlot, ttlMs: number): Promise<void> {
    using listener = this.#feed.listen(directTopic(transfer))
    using control = this.#feed.listen(CONTROL_TOPIC)
    const over = AbortSignal.any([this.#stop.signal, slot.signal])
    const endsAtMs = performance.now() + ttlMs
    const isOver = async (): Promise<boolean> => {
      const announced = await listener.next(Math.max(0, endsAtMs - performance.now()), over)
      return !announced || !(await control.next(0, over))
    }
    try {
      while (!(await isOver()));
    } catch {
      // The server stops, or the slot was revoked.
    }
    if (this.#held.get(transfer) === slot) this.#release(transfer)
  }

  #release(transfer: string): void {
    this.#held.get(transfer)?.[Symbol.dispose]()
    this.#held.delete(transfer)
  }
}

/**
 * A topic without announcements. The feed wakes all listeners when messages may be lost; a listener that wakes on this
 * topic too knows that its own transfer was not announced.
 */
const CONTROL_TOPIC = 'direct'

const directTopic = (transfer: string): string => `direct/${transfer}`

/** Names the transfer of one part of an upload: always the same, and as secret as the upload's id. */
export function partTransfer(uploadId: string, index: number): string {
  return newId(byteCount => createHash('sha256').update(`${uploadId}/${index}`).digest().subarray(0, byteCount))
}

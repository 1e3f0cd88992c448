import { createHash } from 'node:crypto'

import { SealiftError } from '../../../protocol/errors.ts'
import type { BlobStore, GrantsDirectAccess } from '../../blobs/blob-store.ts'
import type { Caller } from '../../access/caller.ts'
import type { RateLimiter, SlotLimiter, TransferDirection, TransferSlot } from '../../limits/limiter.ts'
import { bytesPerSecond, chargeFor, pauseFor } from '../../limits/pacing.ts'
import { newId } from '../../../protocol/ids.ts'
import type { ChangeFeed } from '../../change-feed/change-feed.ts'

/** What handing out addresses takes. */
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
  throw new SealiftError('not_direct', 'This server gives out no addresses of its store: send and fetch through it')
}

/**
 * An answer that waits for longer than this, times the answers that are waited for at once, may be given up on its way:
 * by the client, or by a proxy between. Asked for again, its bytes would be charged again.
 */
const AHEAD_SECONDS = 2

/** For so many bytes an address may be waited for. */
export function bytesAhead({ tier }: Pick<Caller, 'tier'>, direction: TransferDirection): number {
  const perSecond = bytesPerSecond({ tier, direction })
  return perSecond === 0 ? Infinity : perSecond * AHEAD_SECONDS
}

export function tooSlowForParts(): SealiftError {
  const message = 'At the byte rate of this client a part takes too long to wait for its address: use the server'
  return new SealiftError('not_direct', message)
}

/**
 * The client's byte rate, for bytes that will not pass here: they are charged before the address is given, which waits as
 * long as they would have taken.
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
 * Slots of transfers that do not pass this server: nobody can see them end, so each is held until the client says that it
 * is over, or its addresses expire. Whoever hears the end, on whichever node, announces it; the node that holds the slot
 * listens.
 */
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

import { SealiftError } from '../../../protocol/errors.ts'
import type { BlobStore, GrantsDirectAccess } from '../../blobs/blob-store.ts'
import type { Caller } from '../../access/caller.ts'
import type { RateLimiter, SlotLimiter, TransferDirection } from '../../limits/limiter.ts'
import { bytesPerSecond, chargeFor, pauseFor } from '../../limits/pacing.ts'
import type { DirectSlots } from './direct-slots.ts'

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
  if (charge) await pauseFor(await charge(bytes), signal)
}

function grantsDirectAccess(blobs: BlobStore): blobs is BlobStore & GrantsDirectAccess {
  return 'presignPart' in blobs && 'presignRead' in blobs && 'statPart' in blobs
}

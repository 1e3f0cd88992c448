/** Who asks for something, with all that decides what may be done: made once for each request, before any work. */
import { formatSpan } from '../../protocol/units.ts'
import { SealiftError } from '../../protocol/errors.ts'
import type { Client, Tier } from './access.ts'
import type { Claim, Idempotency, QuotaCaps, StorageCaps } from '../records/record-store.ts'
import type { Kind } from '../../protocol/schemas.ts'

export interface Caller {
  readonly client: Client
  readonly tier: Tier
  /** SHA-256 (hex) of the owner secret that came with the request. */
  readonly ownerHash: string | null
}

/** A caller who makes something, and the key that makes the request repeatable. */
export interface Maker extends Caller {
  readonly idempotency: Idempotency | null
}

/** What a caller can prove: a client's name, an owner secret, or both. An address proves nothing. */
export function claimOf(caller: Caller): Claim {
  return { clientId: caller.client.anonymous ? null : caller.client.clientId, ownerHash: caller.ownerHash }
}

/** What decides which caps hold when a request adds to what was begun earlier. */
export interface Charging {
  /** The tier of clients without a token. */
  readonly openTier: () => Tier
}

/**
 * The tier whose caps hold for what `clientId` is charged. That may be another client than the caller: an upload begun
 * by an address is continued with its id, a parcel with its owner secret. The caller's caps say nothing about the usage
 * of that client, and its own tier is not known without its token: the open tier applies.
 */
export function chargedTier({ openTier }: Charging, { client, tier }: Caller, clientId: string): Tier {
  return client.clientId === clientId ? tier : openTier()
}

/** The caps of a tier that hold for one media of `kind`. */
export function quotaCaps(tier: Tier, kind: Kind = 'other'): QuotaCaps {
  return {
    ...storageCaps(tier),
    pendingUploads: tier.pendingUploads,
    pendingBytes: tier.pendingBytes,
    maxBytes: tier.maxBytes[kind],
  }
}

/** The caps of a tier on what is kept. */
export function storageCaps({ storedBytes, storedRows }: Tier): StorageCaps {
  return { storedBytes, storedRows }
}

/** When something made at `now` ends. @throws invalid_request (limit `maxTtlSeconds`) when longer than the tier allows */
export function expiryOf(tier: Tier, ttlSeconds: number | undefined, now: number): number {
  const seconds = ttlSeconds ?? Math.min(tier.defaultTtlSeconds, tier.maxTtlSeconds)
  if (seconds > tier.maxTtlSeconds) {
    throw new SealiftError('invalid_request', `Ask for at most ${formatSpan(tier.maxTtlSeconds)} to live`, {
      context: { limit: 'maxTtlSeconds', value: tier.maxTtlSeconds },
    })
  }
  return now + seconds * 1000
}

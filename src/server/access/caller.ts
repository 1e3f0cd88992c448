/** The sender of a request: client, tier and credentials, resolved once per request. */
import { SealiftError } from '../../protocol/errors.ts'
import type { Kind, TierLimits } from '../../protocol/schemas.ts'
import { formatSpan } from '../../protocol/units.ts'
import type { ServerConfig } from '../config/config-schema.ts'
import type { OwnershipProof, Idempotency, QuotaCaps, StorageCaps } from '../records/record-types.ts'

export interface Caller {
  readonly client: Client
  readonly tier: Tier
  /** SHA-256 (hex) of the owner secret that came with the request. */
  readonly ownerHash: string | null
}

/** A caller of a request that creates something, with its idempotency key. */
export interface IdempotentCaller extends Caller {
  readonly idempotency: Idempotency | null
}

/** What a caller can prove: a client id, an owner secret, or both. An IP address proves nothing. */
export function ownershipProof(caller: Caller): OwnershipProof {
  return { clientId: caller.client.anonymous ? null : caller.client.clientId, ownerHash: caller.ownerHash }
}

/** Decides whose caps apply when a request adds to something created earlier. */
export interface Charging {
  /** The tier of clients without a token. */
  readonly openTier: () => Tier
}

/**
 * The tier whose caps apply to what `clientId` is charged. The caller may be another client: an upload begun by an
 * anonymous client is continued by its id, a parcel by its owner secret. The tier of that client is unknown without
 * its token, so the open tier applies.
 */
export function chargedTier({ openTier }: Charging, { client, tier }: Caller, clientId: string): Tier {
  return client.clientId === clientId ? tier : openTier()
}

/** The caps of a tier on a media item of `kind`. */
export function quotaCaps(tier: Tier, kind: Kind = 'other'): QuotaCaps {
  return {
    ...storageCaps(tier),
    pendingUploads: tier.pendingUploads,
    pendingBytes: tier.pendingBytes,
    maxBytes: tier.maxBytes[kind],
  }
}

/** The caps of a tier on what is stored. */
export function storageCaps({ storedBytes, storedRows }: Tier): StorageCaps {
  return { storedBytes, storedRows }
}

/**
 * When something created at `now` expires.
 * @throws invalid_request (limit `maxTtlSeconds`) for a longer time than the tier allows
 */
export function expiryOf(tier: Tier, ttlSeconds: number | undefined, now: number): number {
  const seconds = ttlSeconds ?? Math.min(tier.defaultTtlSeconds, tier.maxTtlSeconds)
  if (seconds > tier.maxTtlSeconds) {
    throw new SealiftError('invalid_request', `Ask for at most ${formatSpan(tier.maxTtlSeconds)} to live`, {
      context: { limit: 'maxTtlSeconds', value: tier.maxTtlSeconds },
    })
  }
  return now + seconds * 1000
}

/** Proof of identity of a client. */
export interface ClientCredential {
  /** Equal for equal credentials; reveals nothing about them. */
  readonly fingerprint: string
  /** The configuration that accepted it. */
  readonly takenBy: ServerConfig
  /** Whether `config` still accepts it. Expiry is ignored, so that a transfer that began in time may end. */
  holdsIn(config: ServerConfig): Promise<boolean>
}

export interface Client {
  /** The key of limits and charges: `subject:<sub>` of a token, `address:<ip>` in open mode. */
  readonly clientId: string
  /** True when only the IP address is known; such a client owns nothing by its id. */
  readonly anonymous: boolean
  readonly tier: string
  readonly device: string | null
  /** Watched while a transfer runs: revoking it ends the transfer. */
  readonly credential?: ClientCredential | undefined
}

/** The limits of a tier as configured: those of GET /v1/limits, and those that only the server needs. */
export interface Tier extends TierLimits {
  /** Longest wait in the queue for a slot. */
  readonly queueWaitMs: number
}

/** The `SlotRequest` of a transfer, by the caller's tier. */
export function slotRequest({ client, tier }: Caller, direction: 'upload' | 'download') {
  return {
    clientId: client.clientId,
    direction,
    cap: direction === 'upload' ? tier.concurrentUploads : tier.concurrentDownloads,
    queue: tier.queue,
    queueWaitMs: tier.queueWaitMs,
    credential: client.credential,
  }
}

/** The tier that always exists. It applies to clients whose own tier is not configured. */
export const DEFAULT_TIER = 'default'

/** The limits of a client by this configuration. */
export function tierOf(config: ServerConfig, client: Pick<Client, 'tier'>): Tier {
  const tier = config.tiers[knownTier(config, client.tier)]
  if (tier === undefined) throw new Error('The configuration has no default tier')
  return tier
}

/** `name` if that tier exists, else the default tier. */
export function knownTier(config: ServerConfig, name: string | null): string {
  return name !== null && Object.hasOwn(config.tiers, name) ? name : DEFAULT_TIER
}

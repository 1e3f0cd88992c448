/** Who asks for something, with all that decides what may be done: made once for each request, before any work. */
import { SealiftError } from '../../protocol/errors.ts'
import type { Kind, TierLimits } from '../../protocol/schemas.ts'
import { formatSpan } from '../../protocol/units.ts'
import type { ServerConfig } from '../config/schema.ts'
import type { SlotRequest, TransferDirection } from '../limits/limiter.ts'
import type { OwnershipProof, Idempotency, QuotaCaps, StorageCaps } from '../records/record-types.ts'

export interface Caller {
  readonly client: Client
  readonly tier: Tier
  /** SHA-256 (hex) of the owner secret that came with the request. */
  readonly ownerHash: string | null
}

/** A caller who makes something, and the key that makes the request repeatable. */
export interface IdempotentCaller extends Caller {
  readonly idempotency: Idempotency | null
}

/** What a caller can prove: a client's name, an owner secret, or both. An address proves nothing. */
export function ownershipProof(caller: Caller): OwnershipProof {
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

/** What proved who a client is. */
export interface Credential {
  /** The same for the same credential; tells nothing about it. */
  readonly fingerprint: string
  /** The configuration that took it. */
  readonly takenBy: ServerConfig
  /** Whether `config` still takes it; its natural expiry aside, so that what began in time may end. */
  holdsIn(config: ServerConfig): Promise<boolean>
}

export interface Client {
  /** What limits and charges are counted under: `subject:<sub>` of a token, `address:<ip>` in open mode. */
  readonly clientId: string
  /** True when nothing but an address is known: it owns nothing by its name. */
  readonly anonymous: boolean
  readonly tier: string
  readonly device: string | null
  /** Watched while a transfer runs, so that a revoked one ends it. Absent: nothing to revoke. */
  readonly credential?: Credential | undefined
}

/** A tier's limits as the operator set them: what GET /v1/limits tells, plus what only the server needs. */
export interface Tier extends TierLimits {
  /** Longest wait in the queue for a slot. */
  readonly queueWaitMs: number
}

/** What a caller's tier allows of transfers in one direction. */
export function slotRequest({ client, tier }: Caller, direction: TransferDirection): SlotRequest {
  return {
    clientId: client.clientId,
    direction,
    cap: direction === 'upload' ? tier.concurrentUploads : tier.concurrentDownloads,
    queue: tier.queue,
    queueWaitMs: tier.queueWaitMs,
    credential: client.credential,
  }
}

/** The tier that always exists, and that a client gets whose own is not (or no longer) in the configuration. */
export const DEFAULT_TIER = 'default'

/** What applies to a client by the configuration in force. */
export function tierOf(config: ServerConfig, client: Pick<Client, 'tier'>): Tier {
  const tier = config.tiers[knownTier(config, client.tier)]
  if (tier === undefined) throw new Error('The configuration has no default tier')
  return tier
}

/** `name` when there is such a tier, else the default one. */
export function knownTier(config: ServerConfig, name: string | null): string {
  return name !== null && Object.hasOwn(config.tiers, name) ? name : DEFAULT_TIER
}

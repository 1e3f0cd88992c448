/** Who calls, and what applies to them. */
import type { TierLimits } from '../../protocol/schemas.ts'
import type { ServerConfig } from '../config/schema.ts'

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

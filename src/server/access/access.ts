/** Who calls, and what applies to them. */
import type { TierLimits } from '../../protocol/schemas.ts'

export interface Client {
  /** What limits and charges are counted under: `subject:<sub>` of a token, `address:<ip>` in open mode. */
  readonly clientId: string
  /** True when nothing but an address is known: it owns nothing by its name. */
  readonly anonymous: boolean
  readonly tier: string
  readonly device: string | null
}

/** A tier's limits as the operator set them: what GET /v1/limits tells, plus what only the server needs. */
export interface Tier extends TierLimits {
  /** Longest wait in the queue for a slot. */
  readonly queueWaitMs: number
}

/**
 * The ports of the limits that hold while a transfer or request runs. In-process adapters serve one node; shared ones
 * serve a cluster. Quota (bytes, pending uploads) is not here: it is exact in the record store.
 */

import type { Credential } from '../access/access.ts'

export type TransferDirection = 'upload' | 'download'

/** A slot held by one transfer. Disposing it (once or more) frees it, however the transfer ended. */
export interface TransferSlot extends Disposable {
  /** Aborts when the slot is taken away (revoked token, lost lease). */
  readonly signal: AbortSignal
}

export interface SlotRequest {
  readonly clientId: string
  /** What the client proved itself with: the slot (or the place in line) is taken away when that is revoked. */
  readonly credential?: Credential | undefined
  readonly direction: TransferDirection
  /** Transfers at once. */
  readonly cap: number
  /** Transfers that may wait; one more is refused at once. */
  readonly queue: number
  /** Longest wait, then refused. */
  readonly queueWaitMs: number
}

export interface SlotLimiter {
  /**
   * Resolves with a slot, after waiting in line (first come, first served) when all are taken.
   * @throws too_many_uploads or too_many_downloads (context: limit, value, remaining 0, retryAfterSeconds); the signal's reason
   */
  acquire(request: SlotRequest, signal: AbortSignal): Promise<TransferSlot>
  /** Slots held now by a client. */
  held(clientId: string, direction: TransferDirection): number
}

export interface Rate {
  /** Units per second; 0: no limit. */
  readonly perSecond: number
  /** Units that may come at once. */
  readonly burst: number
}

export interface RateLimiter {
  /**
   * Takes `cost` units if they are there.
   * `retryAfterMs` says when they will be, when they are not.
   */
  take(
    key: string,
    cost: number,
    rate: Rate,
  ): { readonly ok: true } | { readonly ok: false; readonly retryAfterMs: number }
  /**
   * Takes `cost` units in any case and returns for how long the caller must pause (0: not at all), so that a stream
   * keeps to the rate on average. Several streams of one key share it.
   */
  charge(key: string, cost: number, rate: Rate): number
}

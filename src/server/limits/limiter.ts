/**
 * The ports of the limits that apply while a transfer or request runs. The adapters in `memory/` serve one node, those
 * in `valkey/` serve a cluster. Quotas (bytes, pending uploads) are exact and live in the record store.
 */

import type { ClientCredential } from '../access/caller.ts'

export type TransferDirection = 'upload' | 'download'

/** A slot held by one transfer. Disposing it (once or more) releases it, however the transfer ended. */
export interface TransferSlot extends Disposable {
  /** Aborts when the slot is taken away: its credential is revoked, or it expired in Valkey. */
  readonly signal: AbortSignal
}

export interface SlotRequest {
  readonly clientId: string
  /** Its revocation takes the slot away, or ends the wait for it. */
  readonly credential?: ClientCredential | undefined
  readonly direction: TransferDirection
  /** Most slots held at once. */
  readonly cap: number
  /** Most requests in the queue; one more is refused at once. */
  readonly queue: number
  /** Longest time in the queue, then the request is refused. */
  readonly queueWaitMs: number
  /** Called when the request joins the queue of a cluster. */
  readonly onQueued?: () => void
}

export interface SlotLimiter {
  /**
   * Resolves with a slot; first come, first served when all are held.
   * @throws too_many_uploads, too_many_downloads (context: limit, value, remaining 0, retryAfterSeconds),
   *   shutting_down; the signal's reason
   */
  acquire(request: SlotRequest, signal: AbortSignal): Promise<TransferSlot>
  /** Slots held now by a client, on all nodes. */
  held(clientId: string, direction: TransferDirection, signal?: AbortSignal): number | Promise<number>
  /** Whether `acquire` would probably resolve without queueing, by what this node knows. */
  looksFree(request: SlotRequest): boolean
}

/** Optional power: grants a slot without a wait. */
export interface GrantsAtOnce {
  /** A free slot for a short transfer; its credential is not watched. `null`: call `acquire`. */
  tryAcquire(request: SlotRequest): TransferSlot | null
}

/** What the server itself asks of the slots of its own node. */
export interface NodeSlotLimiter extends SlotLimiter {
  /** Slots held through this node, of all clients. */
  inFlight(direction: TransferDirection): number
  /** Requests in the queues of this node, of all clients. */
  waiting(direction: TransferDirection): number
  /** Refuses queued and new requests with shutting_down. Running transfers continue. */
  close(): void
}

export interface Rate {
  /** Units per second; 0: no limit. */
  readonly perSecond: number
  /** Most units at once. */
  readonly burst: number
}

export type Take = { readonly ok: true } | { readonly ok: false; readonly retryAfterMs: number }

/** Called for every request and every chunk, so it returns without a promise where it can: see `whenKnown`. */
export interface RateLimiter {
  /** Takes `cost` units if they are available. `retryAfterMs` says when they will be. */
  take(key: string, cost: number, rate: Rate, signal?: AbortSignal): Take | Promise<Take>
  /**
   * Takes `cost` units in any case and returns how long the caller must pause in ms (0: not at all), so that a stream
   * keeps to the rate on average. Streams of one key share it.
   */
  charge(key: string, cost: number, rate: Rate, signal?: AbortSignal): number | Promise<number>
}

/** Continues in the same turn of the event loop when the value is known, and later when it is not. */
export function whenKnown<T, R>(value: T | Promise<T>, use: (value: T) => R | Promise<R>): R | Promise<R> {
  return value instanceof Promise ? value.then(use) : use(value)
}

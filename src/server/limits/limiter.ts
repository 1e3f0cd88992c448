/**
 * The ports of the limits that hold while a transfer or request runs. In-process adapters serve one node; shared ones
 * serve a cluster. Quota (bytes, pending uploads) is not here: it is exact in the record store.
 */

import type { Credential } from '../access/caller.ts'

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
  /** Slots held now by a client, on all nodes. */
  held(clientId: string, direction: TransferDirection): number | Promise<number>
  /** Whether there would be a slot at once, by what this node knows: a guess that costs nothing. */
  looksFree(request: SlotRequest): boolean
}

/** Optional power: a limiter that knows all by itself, and can answer at once. */
export interface TakesAtOnce {
  /** A slot that is free right now, for a transfer that is over in a moment: it is not taken away when its credential is. */
  tryAcquire(request: Omit<SlotRequest, 'credential'>): TransferSlot | null
}

/** What the server itself asks of the slots of its own node. */
export interface NodeSlotLimiter extends SlotLimiter {
  /** Slots held by all clients, through this node. */
  inFlight(direction: TransferDirection): number
  /** Requests standing in line at this node, of all clients. */
  waiting(direction: TransferDirection): number
  /** The server stops: those in line and all who come later are refused with shutting_down; running transfers go on. */
  close(): void
}

export interface Rate {
  /** Units per second; 0: no limit. */
  readonly perSecond: number
  /** Units that may come at once. */
  readonly burst: number
}

export type Take = { readonly ok: true } | { readonly ok: false; readonly retryAfterMs: number }

/** Answers at once where it can, since this stands in the way of every request and every chunk: see `whenKnown`. */
export interface RateLimiter {
  /**
   * Takes `cost` units if they are there.
   * `retryAfterMs` says when they will be, when they are not.
   */
  take(key: string, cost: number, rate: Rate): Take | Promise<Take>
  /**
   * Takes `cost` units in any case and returns for how long the caller must pause (0: not at all), so that a stream
   * keeps to the rate on average. Several streams of one key share it.
   */
  charge(key: string, cost: number, rate: Rate): number | Promise<number>
}

/** Goes on with an answer in the same turn when it is there, and later when it is not. */
export function whenKnown<T, R>(answer: T | Promise<T>, goOn: (answer: T) => R | Promise<R>): R | Promise<R> {
  return answer instanceof Promise ? answer.then(goOn) : goOn(answer)
}

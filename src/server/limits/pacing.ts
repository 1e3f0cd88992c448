/** Byte rates of streams: each chunk is charged before it moves, and a stream over its rate pauses. */
import { setTimeout as sleep } from 'node:timers/promises'

import type { ByteSink } from '../blobs/blob-store.ts'
import type { Tier } from '../access/caller.ts'
import type { RateLimiter, TransferDirection } from './limiter.ts'

/** Charges bytes that are about to move and returns the pause before them in ms (0: none). */
export type Charge = (bytes: number, signal: AbortSignal) => number | Promise<number>

export interface PacedTransfer {
  readonly clientId: string
  readonly tier: Pick<Tier, 'uploadBytesPerSecond' | 'downloadBytesPerSecond'>
  readonly direction: TransferDirection
}

/** 0: no limit. */
export function bytesPerSecond({ tier, direction }: Pick<PacedTransfer, 'tier' | 'direction'>): number {
  return direction === 'upload' ? tier.uploadBytesPerSecond : tier.downloadBytesPerSecond
}

/**
 * How a transfer is charged; `null` when its tier has no byte rate. All transfers of a client in one direction share
 * the rate. A transfer keeps the rate that is configured when it begins. One second's worth may move at once.
 */
export function chargeFor(rates: RateLimiter, { clientId, tier, direction }: PacedTransfer): Charge | null {
  const perSecond = bytesPerSecond({ tier, direction })
  if (perSecond === 0) return null
  const rate = { perSecond, burst: perSecond }
  const key = `${direction}:${clientId}`
  return (bytes, signal) => rates.charge(key, bytes, rate, signal)
}

/** The same bytes, no faster than `charge` allows. Ends `source` on an early return or when `signal` aborts a pause. */
export async function* paceSource(
  source: AsyncIterable<Uint8Array>,
  charge: Charge,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of source) {
    const charged = charge(chunk.byteLength, signal)
    if (charged !== 0) await pauseFor(await charged, signal)
    yield chunk
  }
}

/** A sink that takes bytes, in order, no faster than `charge` allows. */
export function paceSink(sink: ByteSink, charge: Charge, signal: AbortSignal): ByteSink {
  let last: Promise<void> | undefined
  return {
    write(bytes) {
      const charged = charge(bytes.byteLength, signal)
      if (charged === 0 && last === undefined) return sink.write(bytes)
      const write = writeLater(charged, last, { sink, bytes, signal }).finally(() => {
        if (last === write) last = undefined
      })
      last = write
      return write
    },
  }
}

interface LateWrite {
  readonly sink: ByteSink
  readonly bytes: Uint8Array
  readonly signal: AbortSignal
}

/** Two writes may be in flight; the second never overtakes the first. */
async function writeLater(
  charged: ReturnType<Charge>,
  before: Promise<void> | undefined,
  write: LateWrite,
): Promise<void> {
  await pauseFor(await charged, write.signal)
  await before
  await write.sink.write(write.bytes)
}

/** Sleeps `pauseMs`. @throws the signal's reason */
export async function pauseFor(pauseMs: number, signal: AbortSignal): Promise<void> {
  if (pauseMs === 0) return
  try {
    await sleep(Math.ceil(pauseMs), undefined, { signal })
  } catch (error) {
    throw signal.aborted ? signal.reason : error
  }
}

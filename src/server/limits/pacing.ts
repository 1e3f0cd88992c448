/** Byte rates for streams: each chunk is charged, and the pause it costs is waited out before the next one moves. */
import { setTimeout as sleep } from 'node:timers/promises'

import type { ByteSink } from '../blobs/blob-store.ts'
import type { Tier } from '../access/caller.ts'
import type { RateLimiter, TransferDirection } from './limiter.ts'

/** Charges bytes that are about to move and returns the pause before them in ms (0: none). */
export type Charge = (bytes: number) => number | Promise<number>

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
 * What a transfer of this client is charged; `null` when its tier has no byte rate. All transfers of a client in one
 * direction share the rate; the rate is the one in force when the transfer begins. One second's worth may come at once.
 */
export function chargeFor(rates: RateLimiter, { clientId, tier, direction }: PacedTransfer): Charge | null {
  const perSecond = bytesPerSecond({ tier, direction })
  if (perSecond === 0) return null
  const rate = { perSecond, burst: perSecond }
  const key = `${direction}:${clientId}`
  return bytes => rates.charge(key, bytes, rate)
}

/** The same bytes, no faster than `charge` lets them. Ends `source` when it is left early or `signal` aborts a pause. */
export async function* paceSource(
  source: AsyncIterable<Uint8Array>,
  charge: Charge,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of source) {
    const charged = charge(chunk.byteLength)
    if (charged !== 0) await pauseFor(await charged, signal)
    yield chunk
  }
}

/** A sink that takes bytes, in order, no faster than `charge` lets them. */
export function paceSink(sink: ByteSink, charge: Charge, signal: AbortSignal): ByteSink {
  let last: Promise<void> | undefined
  return {
    write(bytes) {
      const charged = charge(bytes.byteLength)
      if (charged === 0 && last === undefined) return sink.write(bytes)
      const mine = writeLater(charged, last, { sink, bytes, signal }).finally(() => {
        if (last === mine) last = undefined
      })
      last = mine
      return mine
    },
  }
}

interface LateWrite {
  readonly sink: ByteSink
  readonly bytes: Uint8Array
  readonly signal: AbortSignal
}

/** Two writes may be outstanding; the second never overtakes the first. */
async function writeLater(
  charged: ReturnType<Charge>,
  before: Promise<void> | undefined,
  write: LateWrite,
): Promise<void> {
  await pauseFor(await charged, write.signal)
  await before
  await write.sink.write(write.bytes)
}

/** Waits out what a charge costs. Rejects with the signal's reason. */
export async function pauseFor(pauseMs: number, signal: AbortSignal): Promise<void> {
  if (pauseMs === 0) return
  try {
    await sleep(Math.ceil(pauseMs), undefined, { signal })
  } catch (error) {
    throw signal.aborted ? signal.reason : error
  }
}

import type { Caller } from '../access/caller.ts'
import type { RateLimiter } from '../limits/limiter.ts'
import { chargeFor, paceSource } from '../limits/pacing.ts'
import type { ByteSource } from '../transfers/upload/byte-source.ts'
import { BodyReader } from './body-reader.ts'
import type { Exchange } from './exchange.ts'
import type { Pace, StallWatch } from './stall-watch.ts'

/** What receiving a stream takes. */
export interface Receiving {
  readonly watch: StallWatch
  readonly pace: () => Pace
  readonly rates: RateLimiter
}

/**
 * Gives `take` the body of a request as a source that keeps to the client's rate. The connection is not cut as idle
 * meanwhile: the reader itself knows when the sender, and not the server, is slow.
 */
export async function receive<T>(
  { watch, pace, rates }: Receiving,
  exchange: Exchange,
  { client: { clientId }, tier }: Caller,
  take: (source: ByteSource) => Promise<T>,
): Promise<T> {
  const reader = new BodyReader({ req: exchange.req, watch, pace: pace(), begin: () => exchange.sendContinue() })
  const charge = chargeFor(rates, { clientId, tier, direction: 'upload' })
  try {
    return await exchange.withoutIdleTimeout(take(charge ? paceSource(reader, charge, exchange.signal) : reader))
  } finally {
    exchange.receivedBytes = reader.receivedBytes
    await reader.return()
  }
}

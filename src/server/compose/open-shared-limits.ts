/** Opens the limits, and what wakes, for all nodes together. */
import { joinCluster } from '../cluster/cluster-node.ts'
import type { ValkeyConfig } from '../config/schema.ts'
import { createValkeyRateLimiter } from '../limits/valkey/rate-limiter.ts'
import { openValkeySlotLimiter } from '../limits/valkey/slot-limiter.ts'
import type { LimitsAndFeed, OpenLimits } from './open-limits.ts'
import { openValkeyChangeFeed } from '../change-feed/valkey.ts'

/** The caller disposes `resources`. @throws unavailable when Valkey cannot be used */
export async function openSharedLimits(
  { url, prefix, leaseTtlMs, commandTimeoutMs }: ValkeyConfig,
  { sessions, events }: OpenLimits,
  resources: AsyncDisposableStack,
): Promise<LimitsAndFeed> {
  const node = resources.use(
    await joinCluster({
      url,
      prefix,
      leaseTtlMs,
      commandTimeoutMs,
      events,
    }),
  )
  return {
    slots: resources.use(await openValkeySlotLimiter({ node, name: 'transfers', sessions })),
    places: resources.use(await openValkeySlotLimiter({ node, name: 'places', sessions })),
    rates: resources.use(createValkeyRateLimiter({ node })),
    feed: resources.use(await openValkeyChangeFeed({ node })),
    node,
  }
}

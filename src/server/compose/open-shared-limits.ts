/** Opens the limiters and the change feed of all nodes together. */
import { joinCluster } from '../cluster/cluster-node.ts'
import type { ValkeyConfig } from '../config/schema.ts'
import { watchCredentials } from '../limits/credential-watch.ts'
import { cacheSlots } from '../limits/valkey/cached-slots.ts'
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
  const node = resources.use(await joinCluster({ url, prefix, leaseTtlMs, commandTimeoutMs, events }))
  const open = (name: string) => openValkeySlotLimiter({ node, name })
  // Without cached slots: `const transfers = resources.use(await open('transfers'))`.
  const transfers = resources.use(await cacheSlots({ slots: await open('transfers'), node, name: 'transfers' }))
  return {
    slots: watchCredentials(transfers, sessions),
    places: watchCredentials(resources.use(await open('places')), sessions),
    rates: resources.use(createValkeyRateLimiter({ node })),
    feed: resources.use(await openValkeyChangeFeed({ node })),
    node,
  }
}

/** The slot limiter of a cluster as the server composes it: counted in Valkey, with cached slots. */
import type { ClusterNode } from '../../src/server/cluster/cluster-node.ts'
import { cacheSlots, type CachedSlotLimiter } from '../../src/server/limits/valkey/cached-slots.ts'
import { openValkeySlotLimiter } from '../../src/server/limits/valkey/slot-limiter.ts'

export async function openClusterSlots(node: ClusterNode): Promise<CachedSlotLimiter> {
  const name = 'slots'
  return cacheSlots({ slots: await openValkeySlotLimiter({ node, name }), node, name })
}

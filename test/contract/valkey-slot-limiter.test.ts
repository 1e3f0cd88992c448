import { describe } from 'vitest'

import type { ClusterNode } from '../../src/server/cluster/cluster-node.ts'
import { watchCredentials } from '../../src/server/limits/credential-watch.ts'
import type { NodeSlotLimiter } from '../../src/server/limits/limiter.ts'
import { openValkeySlotLimiter } from '../../src/server/limits/valkey/slot-limiter.ts'
import { clusterNodes } from '../support/cluster-nodes.ts'
import { openClusterSlots } from '../support/cluster-slots.ts'
import { sharedEngine } from '../support/engines/shared.ts'
import { valkeyEngine } from '../support/engines/valkey.ts'
import { slotLimiterContract } from './slot-limiter-contract.ts'

describe.each<{ title: string; open: (node: ClusterNode) => Promise<NodeSlotLimiter & AsyncDisposable> }>([
  { title: 'with cached slots', open: openClusterSlots },
  { title: 'without cached slots', open: (node: ClusterNode) => openValkeySlotLimiter({ node, name: 'slots' }) },
])('$title', ({ open }) => {
  slotLimiterContract(async sessions => {
    const { url } = await sharedEngine(valkeyEngine)
    const resources = new AsyncDisposableStack()
    const { nodes } = resources.use(await clusterNodes(2, { url, commandTimeoutMs: 5000, leaseTtlMs: 10_000 }))
    const opened = (await Promise.all(nodes.map(node => open(node)))).map(limiter => resources.use(limiter))
    const [first, ...others] = sessions ? opened.map(slots => watchCredentials(slots, sessions)) : opened
    if (!first) throw new Error('there is no node')
    return { limiters: [first, ...others], [Symbol.asyncDispose]: () => resources.disposeAsync() }
  })
})

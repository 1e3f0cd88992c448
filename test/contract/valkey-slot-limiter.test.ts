import type { ClusterNode } from '../../src/server/cluster/cluster-node.ts'
import { openValkeySlotLimiter } from '../../src/server/limits/valkey/slot-limiter.ts'
import { clusterNodes } from '../support/cluster-nodes.ts'
import { sharedEngine } from '../support/engines/shared.ts'
import { valkeyEngine } from '../support/engines/valkey.ts'
import { slotLimiterContract } from './slot-limiter-contract.ts'

slotLimiterContract(async sessions => {
  const { url } = await sharedEngine(valkeyEngine)
  const resources = new AsyncDisposableStack()
  const { nodes } = resources.use(await clusterNodes(2, { url, commandTimeoutMs: 5000, leaseTtlMs: 10_000 }))
  const open = (node: ClusterNode) => openValkeySlotLimiter({ node, name: 'slots', ...(sessions ? { sessions } : {}) })
  const [first, ...others] = await Promise.all(nodes.map(open))
  if (!first) throw new Error('there is no node')
  for (const limiter of [first, ...others]) resources.use(limiter)
  return { limiters: [first, ...others], [Symbol.asyncDispose]: () => resources.disposeAsync() }
})

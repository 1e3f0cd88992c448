import { createValkeyRateLimiter } from '../../src/server/limits/valkey/rate-limiter.ts'
import { clusterNodes } from '../support/cluster-nodes.ts'
import { sharedEngine } from '../support/engines/shared.ts'
import { valkeyEngine } from '../support/engines/valkey.ts'
import { rateLimiterContract } from './rate-limiter-contract.ts'

rateLimiterContract(async () => {
  const { url } = await sharedEngine(valkeyEngine)
  const resources = new AsyncDisposableStack()
  const { nodes } = resources.use(await clusterNodes(2, { url, commandTimeoutMs: 5000, leaseTtlMs: 10_000 }))
  const [first, ...others] = nodes.map(node => resources.use(createValkeyRateLimiter({ node })))
  if (!first) throw new Error('there is no node')
  return { limiters: [first, ...others], [Symbol.asyncDispose]: () => resources.disposeAsync() }
})

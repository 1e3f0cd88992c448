import { openValkeyChangeFeed } from '../../src/server/change-feed/valkey.ts'
import { clusterNodes } from '../support/cluster-nodes.ts'
import { sharedEngine } from '../support/engines/shared.ts'
import { valkeyEngine } from '../support/engines/valkey.ts'
import { changeFeedContract } from './change-feed-contract.ts'

changeFeedContract(async () => {
  const { url } = await sharedEngine(valkeyEngine)
  const resources = new AsyncDisposableStack()
  const { nodes } = resources.use(await clusterNodes(2, { url, commandTimeoutMs: 5000, leaseTtlMs: 10_000 }))
  const [first, ...others] = await Promise.all(nodes.map(node => openValkeyChangeFeed({ node })))
  if (!first) throw new Error('there is no node')
  for (const feed of [first, ...others]) resources.use(feed)
  return { feeds: [first, ...others], mayWakeTooMany: true, [Symbol.asyncDispose]: () => resources.disposeAsync() }
})

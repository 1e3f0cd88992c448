/** Nodes of a cluster inside one test process: each has a connection of its own, as processes do. */
import { randomBytes } from 'node:crypto'

import { joinCluster, type ClusterNode, type ClusterNodeOptions } from '../../src/server/cluster/cluster-node.ts'
import { eventually } from './eventually.ts'

export interface ClusterNodes extends AsyncDisposable {
  readonly nodes: readonly ClusterNode[]
  readonly prefix: string
}

/** Joins `count` nodes under a key prefix of their own; resolves when each knows of all. Disposing lets them leave. */
export async function clusterNodes(
  count: number,
  options: Pick<ClusterNodeOptions, 'url'> & Partial<ClusterNodeOptions>,
): Promise<ClusterNodes> {
  const prefix = options.prefix ?? `test-${randomBytes(6).toString('hex')}:`
  const resources = new AsyncDisposableStack()
  const nodes: ClusterNode[] = []
  for (let index = 0; index < count; index += 1) {
    nodes.push(resources.use(await joinCluster({ leaseTtlMs: 1000, commandTimeoutMs: 300, ...options, prefix })))
  }
  await eventually('every node knows of all', () => nodes.every(node => node.nodes === count))
  return { nodes, prefix, [Symbol.asyncDispose]: () => resources.disposeAsync() }
}

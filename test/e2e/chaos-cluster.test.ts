import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { runChaos } from '../support/chaos/chaos-run.ts'
import { startChaosCluster, type ChaosCluster } from '../support/chaos/cluster.ts'
import { runSeed } from '../support/random.ts'

const RUNS = 10
/** A run takes a few seconds; what waits for a busy machine may take longer. */
const TIMEOUT_MS = 180_000

describe('two nodes on S3, PostgreSQL and Valkey while all of them fail', () => {
  let cluster: ChaosCluster
  const seed = runSeed()

  beforeAll(async () => {
    cluster = await startChaosCluster()
  }, TIMEOUT_MS)
  afterAll(() => cluster[Symbol.asyncDispose]())

  it.each(Array.from({ length: RUNS }, (_, run) => seed + run))(
    'keep every promise (SEALIFT_SEED=%i)',
    async seed => {
      const { violations, history } = await runChaos(cluster, seed)
      expect(violations, history).toEqual([])
    },
    TIMEOUT_MS,
  )
})

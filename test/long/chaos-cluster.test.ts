import { expect, it } from 'vitest'

import { runChaos } from '../support/chaos/chaos-run.ts'
import { startChaosCluster } from '../support/chaos/cluster.ts'
import { runSeed } from '../support/random.ts'

/** The rest of two hundred: ten are in every run of `npm test`. */
const RUNS = Number(process.env['SEALIFT_TEST_CHAOS_RUNS'] ?? 190)

it(`keeps every promise on two nodes through ${RUNS} seeded runs of kills, pauses and failing stores`, async () => {
  const first = runSeed()
  await using cluster = await startChaosCluster()
  const totals = new Map<string, number>()
  for (let run = 0; run < RUNS; run += 1) {
    const { violations, history, counts, durationMs } = await runChaos(cluster, first + run)
    console.log(`SEALIFT_SEED=${first + run}: ${(durationMs / 1000).toFixed(1)} s, ${violations.length} violations`)
    // Printed at once: a long run may be cut off before its end.
    for (const violation of violations) console.log(violation)
    for (const [what, count] of Object.entries(counts)) totals.set(what, (totals.get(what) ?? 0) + count)
    expect(violations, history).toEqual([])
  }
  console.log(`${RUNS} runs: ${JSON.stringify(Object.fromEntries(totals))}`)
})

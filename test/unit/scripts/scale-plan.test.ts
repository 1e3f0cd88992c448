import { expect, test } from 'vitest'

import { renderScalePage } from '../../../scripts/make-scale-docs.ts'
import { ASSUMPTIONS, planFor, type Assumptions, type MeasuredCost } from '../../../scripts/scale-plan.ts'
import { readFile } from 'node:fs/promises'

const cost: MeasuredCost = {
  storeCpuSeconds: 0.001,
  readCpuSeconds: 0.0005,
  publishCpuSeconds: 0.001,
  storeGibCpuSeconds: 2,
  readGibCpuSeconds: 1,
  storeTransactions: 2,
  readTransactions: 1,
  publishTransactions: 1,
  mediaRowBytes: 1000,
  parcelRowBytes: 3000,
}

/** One media a second, read once, without a peak. */
const small: Assumptions = {
  ...ASSUMPTIONS,
  users: 86_400,
  activePerDay: 1,
  mediaPerActiveUser: 1,
  mediaPerParcel: 1,
  readsPerMedia: 1,
  meanMediaBytes: 2 ** 30,
  keptDays: 1,
  peakToMean: 1,
  cdnHitShare: 0.5,
  coresPerNode: 1,
  nodeUse: 0.5,
}

test('a media item a second, by hand', () => {
  const plan = planFor(cost, small)
  expect(plan).toMatchObject({
    mediaPerSecond: 1,
    readsPerSecond: 1,
    inBytesPerSecond: 2 ** 30,
    liveMedia: 86_400,
    storedBytes: 86_400 * 2 ** 30,
    // Two to store, one to read, one to publish.
    transactionsPerSecond: 4,
    databaseBytes: 86_400 * 4000,
    databases: 1,
    // 2 s in and 1 s out of each second, at half a core each, and a little for asking.
    nodesProxied: 7,
    nodesDirect: 1,
    storePutsPerSecond: 1,
    storeGetsPerSecond: 0.5,
  })
  expect(plan.dollarsPerMonth.stored).toBeCloseTo(((86_400 * 2 ** 30) / 1e9) * ASSUMPTIONS.dollars.gigabyteMonth)
  expect(plan.dollarsPerMonth.egress).toBeCloseTo(((30 * 86_400 * 2 ** 30) / 1e9) * ASSUMPTIONS.dollars.egressGigabyte)
})

test('ten times the users need ten times everything but cells that were not full', () => {
  const one = planFor(cost, ASSUMPTIONS)
  const ten = planFor(cost, { ...ASSUMPTIONS, users: ASSUMPTIONS.users * 10 })
  expect(ten.transactionsPerSecond / one.transactionsPerSecond).toBeCloseTo(10)
  expect(ten.databases).toBeGreaterThan(one.databases * 9)
  expect(ten.databases).toBeLessThanOrEqual(one.databases * 10)
  expect(ten.dollarsPerTerabyte).toBeCloseTo(one.dollarsPerTerabyte, 0)
})

test('a database is as large as what it is short of first', () => {
  const roomy = planFor(cost, { ...ASSUMPTIONS, databaseBytes: 1e18 })
  expect(roomy.databases).toBe(Math.ceil(roomy.transactionsPerSecond / ASSUMPTIONS.databaseTransactionsPerSecond))
  const quick = planFor(cost, { ...ASSUMPTIONS, databaseTransactionsPerSecond: 1e9 })
  expect(quick.databases).toBe(Math.ceil(quick.databaseBytes / ASSUMPTIONS.databaseBytes))
})

test('docs/scale.md holds the plan that follows from docs/cost.json', async () => {
  expect(await readFile('docs/scale.md', 'utf8')).toBe(await renderScalePage())
})

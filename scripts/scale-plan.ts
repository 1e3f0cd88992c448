/**
 * From what one media costs to a plan for very many users. Pure arithmetic: `npm run scale` prints it, and
 * docs/scale.md holds what it prints.
 */

/** Measured by scripts/measure-cost.ts on real engines: docs/cost.json. */
export interface MeasuredCost {
  /** Processor time of a node for one media of 64 KiB, proxied. */
  readonly storeCpuSeconds: number
  readonly readCpuSeconds: number
  readonly publishCpuSeconds: number
  /** Processor time of a node for 1 GiB, proxied, in parts of 8 MiB. */
  readonly storeGibCpuSeconds: number
  readonly readGibCpuSeconds: number
  /** Transactions of the database. */
  readonly storeTransactions: number
  readonly readTransactions: number
  readonly publishTransactions: number
  /** Rows and indexes of one media, and of one parcel of three, in PostgreSQL. */
  readonly mediaRowBytes: number
  readonly parcelRowBytes: number
}

/**
 * What cannot be measured here: the behaviour of users, the prices of machines and services. Change it and run again.
 */
export interface Assumptions {
  readonly users: number
  readonly activePerDay: number
  readonly mediaPerActiveUser: number
  readonly mediaPerParcel: number
  readonly readsPerMedia: number
  readonly meanMediaBytes: number
  readonly keptDays: number
  readonly peakToMean: number
  /** Share of reads that a CDN serves; it needs direct transfer. */
  readonly cdnHitShare: number
  /** Transactions per second that one database takes with room to spare. */
  readonly databaseTransactionsPerSecond: number
  readonly databaseBytes: number
  readonly coresPerNode: number
  /** Share of a node's processor time that may be used at peak. */
  readonly nodeUse: number
  readonly dollars: {
    readonly gigabyteMonth: number
    readonly millionPuts: number
    readonly millionGets: number
    readonly egressGigabyte: number
    readonly nodeMonth: number
    readonly databaseMonth: number
  }
}

export const ASSUMPTIONS: Assumptions = {
  users: 1e9,
  activePerDay: 0.6,
  mediaPerActiveUser: 5,
  mediaPerParcel: 3,
  readsPerMedia: 4,
  meanMediaBytes: 1.5e6,
  keptDays: 30,
  peakToMean: 2.5,
  cdnHitShare: 0.5,
  databaseTransactionsPerSecond: 5000,
  databaseBytes: 2e12,
  coresPerNode: 8,
  nodeUse: 0.6,
  dollars: {
    gigabyteMonth: 0.015,
    millionPuts: 4.5,
    millionGets: 0.36,
    egressGigabyte: 0.01,
    nodeMonth: 200,
    databaseMonth: 1500,
  },
}

export interface ScalePlan {
  readonly mediaPerSecond: number
  readonly readsPerSecond: number
  readonly inBytesPerSecond: number
  readonly outBytesPerSecond: number
  readonly storedBytes: number
  readonly liveMedia: number
  readonly transactionsPerSecond: number
  readonly databaseBytes: number
  readonly databases: number
  readonly nodesProxied: number
  readonly nodesDirect: number
  readonly storePutsPerSecond: number
  readonly storeGetsPerSecond: number
  readonly dollarsPerMonth: Readonly<Record<'stored' | 'requests' | 'egress' | 'nodes' | 'databases', number>>
  /** Of one terabyte sent, kept for as long as assumed and read as often as assumed. */
  readonly dollarsPerTerabyte: number
}

const DAY_SECONDS = 86_400
const MONTH_SECONDS = 30 * DAY_SECONDS
const GIB = 2 ** 30

/** Rates are at the peak, amounts in the steady state. */
export function planFor(cost: MeasuredCost, a: Assumptions): ScalePlan {
  const meanMedia = (a.users * a.activePerDay * a.mediaPerActiveUser) / DAY_SECONDS
  const mediaPerSecond = meanMedia * a.peakToMean
  const readsPerSecond = mediaPerSecond * a.readsPerMedia
  const parcelsPerSecond = mediaPerSecond / a.mediaPerParcel
  const liveMedia = meanMedia * DAY_SECONDS * a.keptDays
  const transactionsPerSecond =
    mediaPerSecond * cost.storeTransactions +
    readsPerSecond * cost.readTransactions +
    parcelsPerSecond * cost.publishTransactions
  const databaseBytes = liveMedia * (cost.mediaRowBytes + cost.parcelRowBytes / a.mediaPerParcel)
  const databases = Math.ceil(
    Math.max(transactionsPerSecond / a.databaseTransactionsPerSecond, databaseBytes / a.databaseBytes),
  )
  const nodes = nodesFor(cost, a, { mediaPerSecond, readsPerSecond, parcelsPerSecond })
  const storeGetsPerSecond = readsPerSecond * (1 - a.cdnHitShare)
  const storedBytes = liveMedia * a.meanMediaBytes
  const dollarsPerMonth = {
    stored: (storedBytes / 1e9) * a.dollars.gigabyteMonth,
    requests:
      ((meanMedia * a.dollars.millionPuts + (storeGetsPerSecond / a.peakToMean) * a.dollars.millionGets) / 1e6) *
      MONTH_SECONDS,
    egress: ((meanMedia * a.readsPerMedia * a.meanMediaBytes * MONTH_SECONDS) / 1e9) * a.dollars.egressGigabyte,
    nodes: nodes.direct * a.dollars.nodeMonth,
    databases: databases * a.dollars.databaseMonth,
  }
  const sentTerabytes = (meanMedia * a.meanMediaBytes * MONTH_SECONDS) / 1e12
  return {
    mediaPerSecond,
    readsPerSecond,
    inBytesPerSecond: mediaPerSecond * a.meanMediaBytes,
    outBytesPerSecond: readsPerSecond * a.meanMediaBytes,
    storedBytes,
    liveMedia,
    transactionsPerSecond,
    databaseBytes,
    databases,
    nodesProxied: nodes.proxied,
    nodesDirect: nodes.direct,
    storePutsPerSecond: mediaPerSecond,
    storeGetsPerSecond,
    dollarsPerMonth,
    dollarsPerTerabyte: Object.values(dollarsPerMonth).reduce((sum, each) => sum + each, 0) / sentTerabytes,
  }
}

interface Rates {
  readonly mediaPerSecond: number
  readonly readsPerSecond: number
  readonly parcelsPerSecond: number
}

/**
 * Proxied, every byte passes a node. Direct, only small media and presigning do; presigning costs about as much as a
 * small media item.
 */
function nodesFor(
  cost: MeasuredCost,
  a: Assumptions,
  rates: Rates,
): { readonly proxied: number; readonly direct: number } {
  const asking =
    rates.mediaPerSecond * cost.storeCpuSeconds +
    rates.readsPerSecond * cost.readCpuSeconds +
    rates.parcelsPerSecond * cost.publishCpuSeconds
  const bytes =
    ((rates.mediaPerSecond * cost.storeGibCpuSeconds + rates.readsPerSecond * cost.readGibCpuSeconds) *
      a.meanMediaBytes) /
    GIB
  const perNode = a.coresPerNode * a.nodeUse
  return { proxied: Math.ceil((asking + bytes) / perNode), direct: Math.ceil(asking / perNode) }
}

/** Metrics for Prometheus. Label values come from fixed lists: never an id, an address or a value of a client. */
import { AggregatorRegistry, collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'

import { raceTimeout } from '../../common/abort-race.ts'
import type { SealiftErrorCode } from '../../protocol/errors.ts'
import type { RouteName } from '../../protocol/routes.ts'
import { tierLimits } from '../../protocol/schemas.ts'
import type { TransferDirection } from '../limits/limiter.ts'
import type { StorageTotals } from '../records/record-types.ts'

const DIRECTIONS = ['upload', 'download'] as const
const LATENCY_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800]
const LIMIT_NAMES: ReadonlySet<string> = new Set([...Object.keys(tierLimits.shape), 'partBytes', 'disk', 'wrongTokens'])

/** Read when the metrics are read. */
export interface MetricSources {
  readonly inFlight: (direction: TransferDirection) => number
  readonly waiting: (direction: TransferDirection) => number
  readonly totals: () => Promise<StorageTotals>
  /** `null`: the store does not know. */
  readonly space: () => Promise<{ readonly freeBytes: number; readonly totalBytes: number } | null>
  readonly ready: () => Promise<boolean>
  /** False while this node works without Valkey; absent without a cluster. */
  readonly sharedLimits?: () => boolean
}

export interface Metrics {
  requestEnded(request: { route: RouteName | null; status: number | null; seconds: number }): void
  bytesMoved(direction: TransferDirection, bytes: number): void
  /** `limit` as in the context of an error; unknown names count as `other`. */
  refused(limit: string): void
  failed(code: SealiftErrorCode): void
  reloaded(result: 'applied' | 'refused'): void
  swept(task: string, count: number): void
  sweepEnded(seconds: number): void
  sweepFailed(task: string): void
  sweepFound(what: 'bytes_missing' | 'orphans_suspicious'): void
  read(): Promise<MetricsPage>
  /** The metrics as plain values, to be added to those of other processes. */
  snapshot(): Promise<MetricsSnapshot>
}

export interface MetricsPage {
  readonly contentType: string
  readonly body: string
}

export type MetricsSnapshot = Awaited<ReturnType<Registry['getMetricsAsJSON']>>

/** One page for several processes: counters are added, shared values are reported once. */
export async function aggregateMetrics(snapshots: readonly MetricsSnapshot[]): Promise<MetricsPage> {
  const registry = AggregatorRegistry.aggregate([...snapshots])
  return { contentType: registry.contentType, body: await registry.metrics() }
}

/** The sum of several snapshots. */
export function sumOf(snapshots: readonly MetricsSnapshot[]): Promise<MetricsSnapshot> {
  return AggregatorRegistry.aggregate([...snapshots]).getMetricsAsJSON()
}

/** Counters and histograms: they outlive the process that counted. */
export function countedIn(snapshot: MetricsSnapshot): MetricsSnapshot {
  const kinds: readonly unknown[] = ['counter', 'histogram']
  return snapshot.filter(({ type }) => kinds.includes(type))
}

export interface MetricsOptions {
  readonly sources: MetricSources
  /** Memory, CPU, event loop and garbage collection of the process; off where several servers share one. */
  readonly ofProcess?: boolean
}

export function createMetrics({ sources, ofProcess = true }: MetricsOptions): Metrics {
  const registry = new Registry()
  if (ofProcess) collectDefaultMetrics({ register: registry })
  addTransferGauges(registry, sources)
  addClusterGauge(registry, sources)
  const readStorage = addStorageGauges(registry, sources)
  return {
    ...requestMetrics(registry),
    ...createCounters(registry),
    async read() {
      await readStorage()
      return { contentType: registry.contentType, body: await registry.metrics() }
    },
    async snapshot() {
      await readStorage()
      return registry.getMetricsAsJSON()
    },
  }
}

/** A class of status, or `cut` for an incomplete response. */
function statusClass(status: number | null): string {
  return status === null ? 'cut' : `${Math.floor(status / 100)}xx`
}

/** Retains the child of each route and class: looking it up by its labels costs more than counting. */
function requestMetrics(registry: Registry): Pick<Metrics, 'requestEnded'> {
  const latency = new Histogram({
    name: 'sealift_request_seconds',
    help: 'Requests, by route and class of status, from the first byte to the end of the response',
    labelNames: ['route', 'status'],
    buckets: LATENCY_SECONDS,
    registers: [registry],
  })
  const children = new Map<RouteName | null, ReturnType<typeof latency.labels>[]>()
  return {
    requestEnded({ route, status, seconds }) {
      let byClass = children.get(route)
      if (byClass === undefined) children.set(route, (byClass = []))
      const index = status === null ? 0 : Math.floor(status / 100)
      const child = (byClass[index] ??= latency.labels(route ?? 'none', statusClass(status)))
      child.observe(seconds)
    },
  }
}

function createCounters(registry: Registry): Omit<Metrics, 'requestEnded' | 'read' | 'snapshot'> {
  const counter = <Label extends string>(name: string, help: string, ...labelNames: Label[]) =>
    new Counter({ name, help, labelNames, registers: [registry] })
  const moved = { upload: 0, download: 0 }
  registerBytes(registry, moved)
  const refusals = counter('sealift_refusals_total', 'Requests refused by a limit', 'limit')
  const errors = counter('sealift_errors_total', 'Failed requests, by code', 'code')
  const reloads = counter('sealift_config_reloads_total', 'Reloads of the configuration', 'result')
  const swept = counter('sealift_swept_total', 'What the sweeper ended, completed or deleted', 'task')
  const failures = counter('sealift_sweep_failures_total', 'Work of the sweeper that failed', 'task')
  const found = counter('sealift_sweep_findings_total', 'Findings that need an operator', 'what')
  const lastSweep = new Gauge({
    name: 'sealift_sweep_seconds',
    help: 'How long the last sweep took',
    registers: [registry],
    // One of several processes sweeps, and not always the same one.
    aggregator: 'max',
  })
  return {
    bytesMoved(direction, count) {
      moved[direction] += count
    },
    refused: limit => refusals.inc({ limit: LIMIT_NAMES.has(limit) ? limit : 'other' }),
    failed: code => errors.inc({ code }),
    reloaded: result => reloads.inc({ result }),
    swept: (task, count) => swept.inc({ task }, count),
    sweepFailed: task => failures.inc({ task }),
    sweepFound: what => found.inc({ what }),
    sweepEnded: seconds => lastSweep.set(seconds),
  }
}

/** Adds the bytes when the metrics are read: looking up a counter by its labels costs more than counting. */
function registerBytes(registry: Registry, moved: Record<TransferDirection, number>): Counter {
  return new Counter({
    name: 'sealift_transfer_bytes_total',
    help: 'Bytes of media, by direction',
    labelNames: ['direction'],
    registers: [registry],
    collect() {
      for (const direction of DIRECTIONS) {
        this.inc({ direction }, moved[direction])
        moved[direction] = 0
      }
    },
  })
}

function addTransferGauges(registry: Registry, { inFlight, waiting, ready }: MetricSources): void {
  const byDirection = (name: string, help: string, read: (direction: TransferDirection) => number) =>
    new Gauge({
      name,
      help,
      labelNames: ['direction'],
      registers: [registry],
      collect() {
        for (const direction of DIRECTIONS) this.set({ direction }, read(direction))
      },
    })
  byDirection('sealift_transfers_in_flight', 'Transfers that hold a slot', inFlight)
  byDirection('sealift_transfers_waiting', 'Transfers that wait in the queue for a slot', waiting)
  const readiness = new Gauge({
    name: 'sealift_ready',
    help: '1 while storage and records work and the server is not stopping',
    registers: [registry],
    aggregator: 'min',
    async collect() {
      readiness.set((await ready()) ? 1 : 0)
    },
  })
}

function addClusterGauge(registry: Registry, { sharedLimits }: MetricSources): void {
  if (!sharedLimits) return
  const shared = new Gauge({
    name: 'sealift_shared_limits',
    help: '1 while limits are counted for all nodes together, 0 while this node limits by its own share',
    registers: [registry],
    aggregator: 'min',
    collect() {
      shared.set(sharedLimits() ? 1 : 0)
    },
  })
}

const TOTALS = {
  blobs: 'Media items in the store, unfinished ones included',
  blobBytes: 'Bytes of complete media items',
  reservedBytes: 'Bytes reserved by unfinished uploads',
  pendingUploads: 'Unfinished uploads',
  leases: 'Leases that have not ended',
  parcels: 'Parcels that have not ended',
  tombstones: 'Media items whose bytes are still to be deleted',
} as const satisfies Partial<Record<keyof StorageTotals, string>>

/** Timeout of the storage figures. */
const FIGURES_WITHIN_MS = 2000

/** While the database fails or hangs, its figures are missing from the page; the other metrics are reported. */
function addStorageGauges(registry: Registry, { totals, space }: MetricSources): () => Promise<void> {
  const gauge = (name: string, help: string) => new Gauge({ name, help, registers: [registry], aggregator: 'first' })
  const byTotal = new Map(
    Object.entries(TOTALS).map(([total, help]) => [total, gauge(`sealift_storage_${snakeCase(total)}`, help)]),
  )
  const free = gauge('sealift_storage_free_bytes', 'Free bytes of the disk')
  const size = gauge('sealift_storage_disk_bytes', 'Size of the disk')
  const oldest = gauge('sealift_storage_oldest_upload_timestamp_seconds', 'When the oldest unfinished upload began')
  const readable = gauge('sealift_storage_totals_read', '1 when the figures of the storage could be read')
  return async () => {
    const [figures, disk] = await Promise.allSettled([inTime(totals()), inTime(space())])
    const values = figures.status === 'fulfilled' ? new Map<string, number | null>(Object.entries(figures.value)) : null
    for (const [total, target] of byTotal) setOrRemove(target, values?.get(total))
    const oldestMs = values?.get('oldestUploadAt') ?? null
    setOrRemove(oldest, oldestMs === null ? null : oldestMs / 1000)
    setOrRemove(free, disk.status === 'fulfilled' ? disk.value?.freeBytes : null)
    setOrRemove(size, disk.status === 'fulfilled' ? disk.value?.totalBytes : null)
    readable.set(values && disk.status === 'fulfilled' ? 1 : 0)
  }
}

function inTime<T>(figures: Promise<T>): Promise<T> {
  return raceTimeout(figures, FIGURES_WITHIN_MS, () => new Error('Timeout of the storage figures'))
}

function setOrRemove(gauge: Gauge, value: number | null | undefined): void {
  if (typeof value === 'number') gauge.set(value)
  else gauge.remove()
}

function snakeCase(name: string): string {
  return name.replaceAll(/[A-Z]/g, letter => `_${letter.toLowerCase()}`)
}

/** Logger, metrics, events and health of one server. */
import type { DestinationStream } from 'pino'

import type { LiveConfig } from '../config/live-config.ts'
import { createEvents, type Events } from '../telemetry/events.ts'
import { createHealth, type HealthCheck } from '../telemetry/health.ts'
import { createLogger } from '../telemetry/logger.ts'
import { createMetrics, type Metrics } from '../telemetry/metrics.ts'
import type { LimitsAndFeed } from './open-limits.ts'
import type { Stores } from './open-stores.ts'

export interface TelemetryOptions {
  readonly live: LiveConfig
  readonly stores: Stores
  readonly limits: Pick<LimitsAndFeed, 'slots' | 'node'>
  readonly logTo: DestinationStream | undefined
  readonly processMetrics: boolean | undefined
}

export interface Telemetry {
  readonly events: Events
  readonly metrics: Metrics
  readonly health: HealthCheck
}

export function createTelemetry({ live, stores, limits, logTo, processMetrics }: TelemetryOptions): Telemetry {
  const { blobs, records } = stores
  const { slots, node } = limits
  const logger = createLogger({ live, ...(logTo ? { destination: logTo } : {}) })
  const metrics = createMetrics({
    sources: {
      ...(node === null ? {} : { sharedLimits: () => node.phase === 'joined' }),
      inFlight: direction => slots.inFlight(direction),
      waiting: direction => slots.waiting(direction),
      totals: () => records.totals(),
      space: async () => (await blobs.freeSpace?.()) ?? null,
      ready: async () => (await health.readiness()).status === 'ok',
    },
    ...(processMetrics === undefined ? {} : { ofProcess: processMetrics }),
  })
  const events = createEvents({ logger, metrics })
  const probes = { storage: () => blobs.probe(), records: () => records.probe() }
  const degraded = node === null ? {} : { limits: () => node.phase !== 'joined' }
  const health: HealthCheck = createHealth({ probes, degraded, events })
  return { events, metrics, health }
}

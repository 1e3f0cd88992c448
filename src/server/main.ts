/** Starts a server: opens the stores and limits that the configuration names, repairs, composes, listens. */
import type { DestinationStream } from 'pino'

import { createSessions } from './access/sessions.ts'
import { packageVersion } from '../files/package-version.ts'
import type { Clock } from './clock.ts'
import { followOthers, openClock, sweepLock } from './compose/cluster.ts'
import { createListener } from './compose/listener.ts'
import { LinkEvents, openLimits } from './compose/open-limits.ts'
import { cacheMediaRecords, checkStorage, isOnlyProcess, openStores, type Stores } from './compose/open-stores.ts'
import { composeRoutes } from './compose/wire-routes.ts'
import { createTelemetry } from './compose/telemetry.ts'
import { isLoopbackHost } from './config/cross-checks.ts'
import type { LiveConfigHolder } from './config/live-config.ts'
import type { ServerConfig } from './config/config-schema.ts'
import { adminAddress, startAdminServer } from './telemetry/admin-server.ts'
import type { Events } from './telemetry/events.ts'
import { recover } from './upkeep/finish-uploads.ts'
import { createSweeper } from './upkeep/sweeper.ts'
import type { WorkerReport } from './workers/worker-process.ts'

export type { Stores } from './compose/open-stores.ts'

/** A server that accepts requests. */
export interface RunningServer extends AsyncDisposable {
  /** The URL it listens on, without a slash at the end. */
  readonly url: string
  /** The URL of metrics and health; `null` when that listener is off. */
  readonly adminUrl: string | null
  /** Metrics and readiness of this process, for its supervisor. Never rejects. */
  report(): Promise<WorkerReport>
  /** To log what happens outside of the server: a reload of its configuration. */
  readonly events: Events
  /**
   * Accepts nothing new, lets running transfers end within the grace time, then stops; what was acknowledged stays.
   */
  stop(): Promise<void>
}

export interface StartServerOptions {
  readonly clock?: Clock
  /** Destination of log lines; standard output when absent. */
  readonly logTo?: DestinationStream
  /** Reads this process's own configuration again, after another node has reloaded its own. */
  readonly reread?: () => Promise<ServerConfig>
  /** When (monotonic ms) reading the configuration began; now when absent. */
  readonly readAtMs?: number
  /** Wraps the stores before anything uses them: to inject faults. */
  readonly wrap?: (stores: Stores) => Stores
  /** Metrics of the process itself; off where several servers share one process. */
  readonly processMetrics?: boolean
  /** SHA-256 (hex) of the token that proves the user of this machine in the open mode `loopback`. */
  readonly localTokenSha256?: string | undefined
  /** Whether to open the configured admin listener; the supervisor of workers opens it instead of them. */
  readonly ownAdmin?: boolean
}

/**
 * Resolves when the server is ready: the schema is up to date and what a crash left incomplete is repaired. Disposing
 * it stops it.
 * @throws unavailable, storage_full when a store cannot work; the system's error when a port cannot be opened
 */
export async function startServer(live: LiveConfigHolder, options: StartServerOptions = {}): Promise<RunningServer> {
  await using resources = new AsyncDisposableStack()
  const { listen } = live.current
  const { readAtMs = performance.now(), reread, logTo, processMetrics, localTokenSha256 } = options
  const storageNotes = await checkStorage(live.current)
  const { wrap = (stores: Stores) => stores } = options
  const stores = cacheMediaRecords(wrap(await openStores(live.current, resources)), live.current)
  const { records } = stores
  const clock = options.clock ?? (await openClock(live.current, records, resources))
  const sessions = resources.use(createSessions(live))
  const linkEvents = new LinkEvents()
  const limits = await openLimits({ config: live.current, sessions, events: linkEvents }, resources)
  const { events, metrics, health } = createTelemetry({ live, stores, limits, logTo, processMetrics })
  linkEvents.setListener(events)
  if (storageNotes.length > 0) events.storageNotes(storageNotes)
  await recover({ ...stores, clock, events: events.upkeep }, new AbortController().signal)
  const routes = composeRoutes({ live, stores, limits, clock, readiness: () => health.readiness() }, resources)
  const http = createListener({ live, routes, records, rates: limits.rates, clock, events, localTokenSha256 })
  const sweeper = resources.use(
    createSweeper({
      ...stores,
      clock,
      settings: () => live.current.upkeep,
      events: events.upkeep,
      ...(isOnlyProcess(live.current) ? {} : { lock: sweepLock(live, records) }),
    }),
  )
  const adminServer =
    live.current.admin.enabled && options.ownAdmin !== false
      ? resources.use(
          await startAdminServer({
            address: adminAddress(live.current),
            metrics,
            health,
            onError: error => events.bug('admin listener', error),
          }),
        )
      : null
  if (limits.node) resources.use(await followOthers({ live, node: limits.node, sessions, events, readAtMs, reread }))
  const { address, port } = await http.listen(listen)
  sweeper.start()
  // A name such as localhost may resolve to several addresses; the server listens on one of them.
  const url = `http://${urlHost(isLoopbackHost(listen.host) ? address : listen.host)}:${port}`
  const adminUrl = adminServer?.url ?? null
  events.serverStarted({ url, adminUrl, version: packageVersion(), openMode: live.current.access.openMode })
  const owned = resources.move()
  const stop = once(async () => {
    const startedAtMs = performance.now()
    const { slots } = limits
    events.serverStopping({ transfers: slots.inFlight('upload') + slots.inFlight('download') })
    health.stopping()
    slots.close()
    await http.stop(live.current.transfer.stopGraceMs)
    await owned.disposeAsync()
    events.serverStopped({ durationMs: performance.now() - startedAtMs })
  })
  const report = async () => {
    const [snapshot, readiness] = await Promise.all([metrics.snapshot(), health.readiness()])
    return { metrics: snapshot, readiness }
  }
  return { url, adminUrl, events, report, stop, [Symbol.asyncDispose]: stop }
}

function urlHost(host: string): string {
  return host.includes(':') ? `[${host}]` : host
}

function once(work: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | null = null
  return () => (running ??= work())
}

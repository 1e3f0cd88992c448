/** The composition root: the only place that constructs adapters and wires them to the verbs. */
import { randomBytes } from 'node:crypto'

import type { DestinationStream } from 'pino'

import { isSealiftError } from '../protocol/errors.ts'
import { openapiDocument } from '../protocol/openapi.ts'
import { createAuthenticator } from './access/authenticator.ts'
import { tierOf } from './access/caller.ts'
import { createProxyTrust, isForwarded, normaliseAddress } from './access/client-address.ts'
import { DeviceGate } from './access/devices.ts'
import { createSessions } from './access/sessions.ts'
import { RequestMemory } from './buffers/request-memory.ts'
import type { Clock } from './clock.ts'
import { checkStorage } from './compose/check-storage.ts'
import { followOthers, openClock, sweepLease } from './compose/cluster.ts'
import { type LimitsAndFeed, LinkEvents, openLimits } from './compose/open-limits.ts'
import { isOnlyProcess, openStores, type Stores } from './compose/open-stores.ts'
import { isLoopbackHost } from './config/cross-checks.ts'
import type { LiveConfig, LiveConfigHolder } from './config/live-config.ts'
import type { ServerConfig } from './config/schema.ts'
import { createAccelerate } from './http/accelerate.ts'
import { Dispatcher } from './http/dispatch.ts'
import type { Exchange } from './http/exchange.ts'
import { createIdentifier, Gate } from './http/gate.ts'
import { ManifestThread } from './http/manifest/manifest-thread.ts'
import { renderContract } from './http/public-routes.ts'
import { routeTable, type Services } from './http/routes.ts'
import { createRequestIds, HttpServer } from './http/server.ts'
import { StallWatch } from './http/stall-watch.ts'
import { WrongTokens } from './limits/wrong-tokens.ts'
import { StoredManifests } from './parcels/stored-manifests.ts'
import { adminAddress, startAdminServer } from './telemetry/admin-server.ts'
import { createEvents, type Events } from './telemetry/events.ts'
import { createHealth, type HealthCheck } from './telemetry/health.ts'
import { createLogger } from './telemetry/logger.ts'
import { createMetrics } from './telemetry/metrics.ts'
import { DirectSlots } from './transfers/direct/direct-access.ts'
import { cacheMedia } from './transfers/download/media-cache.ts'
import { createDiskSpaceCheck } from './transfers/upload/disk-space-check.ts'
import { PartsInFlight } from './transfers/upload/exclusive-part.ts'
import { recover } from './upkeep/recover.ts'
import { createSweeper } from './upkeep/sweeper.ts'
import { serverVersion } from './version.ts'
import type { WorkerReport } from './workers/messages.ts'

export type { Stores } from './compose/open-stores.ts'

/** A server that takes requests. */
export interface RunningServer extends AsyncDisposable {
  /** Where it listens, without a slash at the end. */
  readonly url: string
  /** Where metrics and health are; `null` when that listener is off. */
  readonly adminUrl: string | null
  /** What this process knows of itself, for the supervisor of several. Never rejects. */
  report(): Promise<WorkerReport>
  /** To tell what happens outside of the server: a reload of its configuration. */
  readonly events: Events
  /** Takes nothing new, lets running transfers go on for the grace time, then ends; what was acknowledged stays. */
  stop(): Promise<void>
}

export interface ServerOptions {
  readonly clock?: Clock
  /** Where log lines go; standard output when absent. */
  readonly logTo?: DestinationStream
  /** Reads this process's own configuration again, when another node was told to. */
  readonly reread?: () => Promise<ServerConfig>
  /** When (monotonic ms) the configuration began to be read; now when absent. */
  readonly readAtMs?: number
  /** Put around the stores before anything uses them: to inject faults. */
  readonly wrap?: (stores: Stores) => Stores
  /** Metrics of the process itself; off where several servers share one. */
  readonly processMetrics?: boolean
  /** SHA-256 (hex) of the token that the user of this machine proves itself with in the open mode `loopback`. */
  readonly localTokenSha256?: string | undefined
  /** Whether it opens the admin listener that the configuration asks for; a worker leaves that to its supervisor. */
  readonly ownAdmin?: boolean
}

/**
 * Starts a server; resolves when it is ready: the schema is up to date and what a crash left half done is repaired.
 * Disposing it stops it.
 * @throws unavailable, storage_full when a store cannot work; the system's error when a port cannot be had
 */
export async function startServer(live: LiveConfigHolder, options: ServerOptions = {}): Promise<RunningServer> {
  await using resources = new AsyncDisposableStack()
  const { listen, admin } = live.current
  const { readAtMs = performance.now(), reread } = options
  const storageNotes = await checkStorage(live.current)
  const { blobs, records } = decorate(await openStores(live.current, resources), live.current, options)
  const clock = options.clock ?? (await openClock(live.current, records, resources))
  const sessions = resources.use(createSessions(live))
  const linkEvents = new LinkEvents()
  const limits = await openLimits({ config: live.current, sessions, events: linkEvents }, resources)
  const { slots } = limits
  const { events, metrics, health } = createTelemetry(live, { blobs, records, ...limits }, options)
  linkEvents.tellTo(events)
  if (storageNotes.length > 0) events.storageNotes(storageNotes)
  await recover({ blobs, records, clock, events: events.upkeep }, new AbortController().signal)
  const services = createServices(live, {
    blobs,
    records,
    limits,
    directSlots: resources.use(new DirectSlots(limits.feed)),
    health,
    clock,
    watch: resources.use(new StallWatch()),
    manifests: resources.use(new ManifestThread()),
  })
  const http = createListener(live, services, { events, localTokenSha256: options.localTokenSha256 })
  const sweeper = resources.use(
    createSweeper({
      blobs,
      records,
      clock,
      settings: () => live.current.upkeep,
      events: events.upkeep,
      ...(isOnlyProcess(live.current) ? {} : { lease: sweepLease(live, records) }),
    }),
  )
  const onError = (error: unknown) => events.bug('admin listener', error)
  const adminServer =
    admin.enabled && options.ownAdmin !== false
      ? resources.use(await startAdminServer({ place: adminAddress(live.current), metrics, health, onError }))
      : null
  if (limits.node) resources.use(await followOthers({ live, node: limits.node, sessions, events, readAtMs, reread }))
  const { address, port } = await http.listen(listen)
  sweeper.start()
  // A name such as localhost may mean several addresses; only one of them is this server's.
  const host = isLoopbackHost(listen.host) ? address : listen.host
  const url = `http://${host.includes(':') ? `[${host}]` : host}:${port}`
  const adminUrl = adminServer?.url ?? null
  events.serverStarted({ url, adminUrl, version: serverVersion(), openMode: live.current.access.openMode })
  const owned = resources.move()
  const stop = once(async () => {
    const startedAtMs = performance.now()
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

function decorate(opened: Stores, config: ServerConfig, { wrap = stores => stores }: ServerOptions): Stores {
  const stores = wrap(opened)
  const { changeMark } = stores.records
  if (isOnlyProcess(config)) return { ...stores, records: cacheMedia(stores.records) }
  return changeMark ? { ...stores, records: cacheMedia(stores.records, { changeMark }) } : stores
}

function once(work: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | null = null
  return () => (running ??= work())
}

function createTelemetry(
  live: LiveConfig,
  { blobs, records, slots, node }: Stores & Pick<LimitsAndFeed, 'slots' | 'node'>,
  { logTo, processMetrics }: ServerOptions,
) {
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

interface ServiceParts extends Stores {
  readonly limits: LimitsAndFeed
  readonly directSlots: DirectSlots
  readonly health: HealthCheck
  readonly clock: Clock
  readonly watch: StallWatch
  readonly manifests: ManifestThread
}

/** Everything the handlers use. Numbers are asked for anew by each request, so that a reload applies. */
function createServices(live: LiveConfig, parts: ServiceParts): Services {
  const { blobs, records, directSlots, health, clock, watch, manifests } = parts
  const { slots, places, rates, feed } = parts.limits
  const pace = () => ({
    idleMs: live.current.transfer.idleTimeoutMs,
    minimumBytesPerSecond: live.current.transfer.minimumBytesPerSecond,
  })
  const proxies = createProxyTrust(live)
  const refuseAbovePercent = () => live.current.storage.refuseAbovePercent
  const direct = () => ({
    enabled: live.current.storage.transfer === 'direct',
    ttlMs: live.current.storage.directUrlTtlMs,
  })
  const contract = renderContract(
    openapiDocument({ version: serverVersion(), serverUrl: live.current.listen.publicUrl }),
  )
  return {
    records,
    blobs,
    slots,
    places,
    clock,
    watch,
    live,
    pace,
    rates,
    feed,
    directSlots,
    direct,
    transferMode: () => (direct().enabled ? 'direct' : 'proxy'),
    inFlight: new PartsInFlight(),
    storedManifests: new StoredManifests(records),
    random: byteCount => randomBytes(byteCount),
    terms: () => live.current.transfer,
    openTier: () => tierOf(live.current, { tier: live.current.access.openTier }),
    admitNewBytes: createDiskSpaceCheck({ stores: [blobs, records], refuseAbovePercent }),
    grantTtlMs: () => live.current.transfer.downloadGrantTtlMs,
    accelerate: createAccelerate({
      blobs,
      settings: () => live.current.storage,
      isTrustedProxy: address => proxies.trusts(normaliseAddress(address) ?? address),
    }),
    capability: () => live.current.access.downloads === 'capability',
    waitMaxMs: () => live.current.transfer.parcelWaitMaxMs,
    memory: new RequestMemory(() => live.current.buffers),
    manifests,
    readiness: () => health.readiness(),
    contract,
  }
}

function createListener(
  live: LiveConfig,
  services: Services,
  { events, localTokenSha256 }: Pick<ServerOptions, 'localTokenSha256'> & { readonly events: Events },
): HttpServer {
  const { clock, records, rates } = services
  const proxies = createProxyTrust(live)
  const wrongTokens = new WrongTokens({ rates })
  const identify = createIdentifier({
    live,
    authenticator: createAuthenticator({ live, clock, proxies, localTokenSha256, wrongTokens }),
    devices: new DeviceGate({ live, records, clock }),
    wrongTokens,
  })
  const readersNeedToken = () => live.current.access.downloads === 'token'
  const gate = new Gate({ identify, rates, readersNeedToken })
  return new HttpServer({
    dispatcher: new Dispatcher({ gate, table: routeTable(services) }),
    terms: () => ({
      idleMs: live.current.transfer.idleTimeoutMs,
      maxConnectionsPerAddress: live.current.listen.maxConnectionsPerAddress,
      corsOrigins: live.current.cors.origins,
    }),
    maxConnections: live.current.listen.maxConnections,
    newRequestId: createRequestIds(),
    isTrustedProxy: address => proxies.trusts(normaliseAddress(address) ?? address),
    onEnd: exchange => tellEnd(events, exchange),
  })
}

function tellEnd(events: Events, exchange: Exchange): void {
  const { req, res, requestId, route, clientId, receivedBytes, sentBytes, error } = exchange
  events.requestEnded({
    requestId,
    route,
    method: req.method ?? '',
    status: res.writableFinished || exchange.respondedEarly ? res.statusCode : null,
    durationMs: performance.now() - exchange.startedAtMs,
    receivedBytes,
    sentBytes,
    clientId,
    forwarded: () => isForwarded(req.headers),
    // A client that went away is no failure of anybody.
    error: isSealiftError(error, 'aborted') ? null : error,
  })
}

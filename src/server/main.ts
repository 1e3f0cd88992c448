/**
 * The composition root: the only place that constructs adapters and wires them to the verbs.
 */
import { randomBytes } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'

import { openapiDocument } from '../protocol/openapi.ts'
import { createAuthenticator } from './access/authenticator.ts'
import { DeviceGate } from './access/devices.ts'
import { createIdentify } from './access/identify.ts'
import { createProxyTrust } from './access/proxy-trust.ts'
import { createSessions } from './access/sessions.ts'
import { normaliseAddress } from './access/client-address.ts'
import { openFileBlobStore } from './blobs/file-blob-store.ts'
import { systemClock, type Clock } from './clock.ts'
import type { LiveConfig } from './config/live-config.ts'
import { Dispatcher } from './http/dispatch.ts'
import { Gate } from './http/gate.ts'
import { createRequestIds } from './http/request-ids.ts'
import { routeTable, type Services } from './http/routes.ts'
import { HttpServer } from './http/server.ts'
import { StallWatch } from './http/stall-watch.ts'
import { MemoryRateLimiter } from './limits/memory-rate-limiter.ts'
import { createMemorySlotLimiter } from './limits/memory-slot-limiter.ts'
import { createMemoryChangeFeed } from './records/memory-change-feed.ts'
import { openSqliteRecordStore } from './records/sqlite.ts'
import { PartsInFlight } from './uploads/parts-in-flight.ts'
import { createRoomGuard } from './uploads/room-guard.ts'

/** A server that takes requests. */
export interface RunningServer extends AsyncDisposable {
  /** Where it listens, without a slash at the end. */
  readonly url: string
  /** Where metrics and health are; `null` when that listener is off. */
  readonly adminUrl: string | null
  /** Takes nothing new, lets running transfers go on for the grace time, then ends; what was acknowledged stays. */
  stop(): Promise<void>
}

export interface ServerOptions {
  readonly clock?: Clock
}

/** Starts a server; resolves when it is ready: the schema is up to date and what a crash left is repaired. */
export async function startServer(live: LiveConfig, options: ServerOptions = {}): Promise<RunningServer> {
  await using resources = new AsyncDisposableStack()
  const { listen, records: recordsConfig } = live.current
  await mkdir(dirname(recordsConfig.file), { recursive: true })
  const records = resources.use(await openSqliteRecordStore({ file: recordsConfig.file }))
  await records.migrate()
  const blobs = resources.use(await openFileBlobStore({ directory: live.current.storage.directory }))
  const sessions = resources.use(createSessions(live))
  const slots = resources.use(createMemorySlotLimiter({ sessions }))
  const trust = createProxyTrust(live)
  const watch = resources.use(new StallWatch())
  const rates = new MemoryRateLimiter()
  const clock = options.clock ?? systemClock
  const pace = () => ({
    idleMs: live.current.transfer.idleTimeoutMs,
    minimumBytesPerSecond: live.current.transfer.minimumBytesPerSecond,
  })
  let stopping = false
  const services: Services = {
    records,
    blobs,
    slots,
    watch,
    rates,
    clock,
    pace,
    live,
    feed: createMemoryChangeFeed(),
    inFlight: new PartsInFlight(),
    random: byteCount => randomBytes(byteCount),
    terms: () => live.current.transfer,
    admitNewBytes: createRoomGuard({
      store: blobs,
      refuseAbovePercent: () => live.current.storage.refuseAbovePercent,
    }),
    grantTtlMs: () => live.current.transfer.downloadGrantTtlMs,
    capability: () => live.current.access.downloads === 'capability',
    waitMaxMs: () => live.current.transfer.parcelWaitMaxMs,
    jsonBody: limitBytes => ({ watch, pace: pace(), limitBytes }),
    readiness: async () => ({ status: stopping ? 'failing' : 'ok' }),
    openapi: () => openapiDocument({ version: '0.1.0', serverUrl: listen.publicUrl }),
  }
  const gate = new Gate({
    identify: createIdentify({
      live,
      authenticator: createAuthenticator({ live, clock, proxies: trust }),
      devices: new DeviceGate({ live, records, clock }),
      rates,
    }),
    rates,
    readersNeedToken: () => live.current.access.downloads === 'token',
  })
  const http = new HttpServer({
    dispatcher: new Dispatcher({ gate, table: routeTable(services), assertOpen: () => undefined }),
    terms: () => ({
      idleMs: live.current.transfer.idleTimeoutMs,
      maxConnectionsPerAddress: live.current.listen.maxConnectionsPerAddress,
      corsOrigins: live.current.cors.origins,
    }),
    maxConnections: listen.maxConnections,
    newRequestId: createRequestIds(),
    isTrustedProxy: address => trust.trusts(normaliseAddress(address) ?? address),
    onEnd: () => undefined,
  })
  const port = await http.listen(listen.host, listen.port)
  const owned = resources.move()
  let stopped: Promise<void> | null = null
  const stop = async () => {
    stopping = true
    slots.close()
    await http.stop(live.current.transfer.stopGraceMs)
    await owned.disposeAsync()
  }
  return {
    url: `http://${listen.host.includes(':') ? `[${listen.host}]` : listen.host}:${port}`,
    adminUrl: null,
    stop: () => (stopped ??= stop()),
    [Symbol.asyncDispose]: () => (stopped ??= stop()),
  }
}

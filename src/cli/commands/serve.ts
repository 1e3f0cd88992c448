import { once } from 'node:events'
import { resolve } from 'node:path'
import { isDeepStrictEqual } from 'node:util'

import { pino } from 'pino'

import {
  configFileOf,
  workerTokenHash,
  type LiveConfigHolder,
  createLiveConfig,
  type ConfigSources,
  type ReloadResult,
  createReloader,
  loadConfig,
  configWarnings,
  type ServerConfig,
  type RunningServer,
  type StartServerOptions,
  DEFAULT_ADMIN_PORT,
  type Events,
  linkToSupervisor,
  loadServer,
} from '../../server/index.ts'
import { type CliIo, Output } from '../cli-io.ts'
import { EXIT } from '../exit-codes.ts'
import { explainStart } from '../server/start-error-text.ts'
import { ReloadSignal } from '../server/reload-signal.ts'
import { LocalAccess } from '../server/local-access.ts'
import { serveWorkers } from '../server/serve-workers.ts'

export interface ServeOptions {
  readonly config?: string
  readonly host?: string
  readonly port?: number
  readonly data?: string
}

const STDERR = 2

/** `sealift serve`: runs until a signal stops it. */
export async function serve(io: CliIo, options: ServeOptions): Promise<number> {
  const output = new Output(io)
  using supervisor = linkToSupervisor()
  using reloadSignal = new ReloadSignal()
  const sources = sourcesOf(io, options)
  const readAtMs = performance.now()
  const live = createLiveConfig(await loadConfig(sources))
  const reread = () => loadConfig(sources)
  await using access = new LocalAccess(output, io.env)
  if (live.current.workers > 1 && !supervisor) {
    const announceAll = (at: Addresses) => announce(output, at, { config: live.current, access })
    return await serveWorkers(io, { live, reloadSignal, access, reread }, announceAll)
  }
  const localTokenSha256 = supervisor ? workerTokenHash(io.env) : access.sha256
  await using server = await start(live, { ownAdmin: !supervisor, readAtMs, reread, localTokenSha256 })
  const reload = createReloader(live, sources)
  reloadSignal.setListener(() => void reloadAndTell(live, reload, server.events))
  using _ = live.subscribe(next => void (supervisor ?? access.follow(server.url, next)))
  if (supervisor) supervisor.announce(server.url, () => server.report())
  else await announce(output, server, { config: live.current, access })
  if (!io.signal.aborted) await once(io.signal, 'abort')
  // Before the port is free: its next server writes a file of the same name.
  await access[Symbol.asyncDispose]()
  await server.stop()
  return EXIT.ok
}

type Addresses = Pick<RunningServer, 'url' | 'adminUrl'>

/** What the command line says wins over file and environment, now and at every reload. */
function sourcesOf(io: CliIo, { config, host, port, data }: ServeOptions): ConfigSources {
  const listen = { ...(host === undefined ? {} : { host }), ...(port === undefined ? {} : { port }) }
  const overrides = { listen, ...(data === undefined ? {} : { dataDirectory: data }) }
  return { file: config ?? configFileOf(io.env), environment: io.env, overrides }
}

async function start(live: LiveConfigHolder, options: StartServerOptions): Promise<RunningServer> {
  try {
    const { startServer } = await loadServer()
    return await startServer(live, { ...options, logTo: pino.destination({ fd: STDERR, sync: true }) })
  } catch (error) {
    throw explainStart(error, live.current)
  }
}

/** The address comes first: programs that start a server read it. */
async function announce(
  output: Output,
  server: Addresses,
  { config, access }: { readonly config: ServerConfig; readonly access: LocalAccess },
): Promise<void> {
  for (const warning of configWarnings(config)) output.warn(`warning: ${warning}`)
  const tokenFile = await access.follow(server.url, config)
  await output.line(`Sealift listens on ${server.url}`)
  if (tokenFile !== null) await output.line(`The token of this user is in ${tokenFile} (curl -H @FILE)`)
  await output.line(`Data is in ${placesOf(config)}`)
  if (server.adminUrl !== null)
    await output.line(`Metrics and health are on ${server.adminUrl}${movedNote(server.adminUrl, config)}`)
}

/** An admin port that is not set gives way to another server's. */
function movedNote(adminUrl: string, { admin }: ServerConfig): string {
  const hasMoved = admin.port === null && Number(new URL(adminUrl).port) !== DEFAULT_ADMIN_PORT
  return hasMoved ? ` (${DEFAULT_ADMIN_PORT} is in use; admin.port chooses another)` : ''
}

/** Never with a secret: an address of a database holds its password. */
function placesOf({ dataDirectory, storage, records }: ServerConfig): string {
  const folder = resolve(dataDirectory)
  const s3 = storage.kind === 's3' ? storage.s3 : null
  const bytes = s3 === null ? folder : `bucket ${s3.bucket} at ${new URL(s3.endpoint).host}`
  const rows = records.kind === 'postgres' ? 'PostgreSQL' : folder
  return rows === bytes ? folder : `${bytes}, records in ${rows}`
}

async function reloadAndTell(
  live: LiveConfigHolder,
  reload: () => Promise<ReloadResult>,
  events: Events,
): Promise<void> {
  const changed = new Set<string>()
  using _ = live.subscribe((next, previous) => {
    for (const key of changedKeys(previous, next)) changed.add(key)
  })
  try {
    const result = await reload()
    if (result.ok) events.configReloaded({ changed: [...changed], needRestart: result.needRestart })
    else events.configRefused(result.problems)
  } catch (error) {
    events.bug('reload', error)
  }
}

/** Inside the program durations carry their unit; in the file they do not. */
const UNIT_SUFFIX = /(Ms|Seconds)$/

/** The keys whose values differ, as they are written in a file: `tiers.default.queue`. Never a value. */
export function changedKeys(previous: unknown, next: unknown, key = ''): string[] {
  if (isDeepStrictEqual(previous, next)) return []
  if (!isPlainMap(previous) || !isPlainMap(next)) return [key.replace(UNIT_SUFFIX, '')]
  const names = new Set([...Object.keys(previous), ...Object.keys(next)])
  return [...names].flatMap(name => changedKeys(previous[name], next[name], key === '' ? name : `${key}.${name}`))
}

function isPlainMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

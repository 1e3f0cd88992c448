/**
 * The server of this machine, by its configuration: disk or S3 service, records, shared limits and ports. Nothing is
 * changed but a file, or an object, that is removed again, and what `fix` asks for.
 */
import { randomUUID } from 'node:crypto'
import { constants, existsSync } from 'node:fs'
import { access, open, readFile, rm, statfs } from 'node:fs/promises'
import { createServer } from 'node:net'
import { availableParallelism } from 'node:os'
import { dirname, join, resolve } from 'node:path'

import { formatDuration, formatSize } from '../../protocol/units.ts'
import { loadConfig, type ServerConfig, adminAddress } from '../../server/index.ts'
import type { CliIo } from '../cli-io.ts'
import { explain } from '../error-text.ts'
import { type Check, fail, ok, warn } from './check.ts'

export interface ServerCheckOptions {
  readonly file: string | null
  readonly data: string | null
  readonly io: Pick<CliIo, 'env' | 'signal'>
  /** Set right what is wrong, where that can do no harm. */
  readonly fix: boolean
}

const SLOW_SYNC_MS = 50
const LOW_SPACE_BYTES = 2 ** 30

/** Stops after the configuration when that is wrong. */
export async function* checkServer({ file, data, io, fix }: ServerCheckOptions): AsyncGenerator<Check> {
  const overrides = data === null ? {} : { dataDirectory: data }
  let config: ServerConfig
  try {
    config = await loadConfig({ file, environment: io.env, overrides })
  } catch (error) {
    yield fail('configuration', explain(error).message)
    return
  }
  yield ok('configuration', file === null ? 'valid (defaults and environment)' : 'valid')
  yield* checkStorage(config, { fix, signal: io.signal })
  yield* checkCluster(config)
  yield await checkPort('port', config.listen)
  if (config.admin.enabled) yield await checkPort('admin port', adminAddress(config))
  yield* checkBacklog(config.listen.backlog)
}

async function* checkStorage(
  config: ServerConfig,
  options: { readonly fix: boolean; readonly signal: AbortSignal },
): AsyncGenerator<Check> {
  const { storage, records, dataDirectory } = config
  if (storage.kind === 'files' || records.kind === 'sqlite') yield await checkFolder('data', resolve(dataDirectory))
  if (storage.kind === 'files') {
    yield await checkFolder('storage', resolve(storage.directory))
    yield await checkSpace(config)
  } else if (storage.s3) {
    const { checkStorageService } = await import('./check-storage-service.ts')
    yield* checkStorageService({ config, s3: storage.s3, ...options })
  }
}

/** Valkey first: it knows how many processes there are, and so what the database has to bear. */
async function* checkCluster({ records, limits, workers }: ServerConfig): AsyncGenerator<Check> {
  yield checkWorkers(workers, limits.shared === 'valkey')
  let processes = workers
  if (limits.shared === 'valkey' && limits.valkey) {
    const { checkValkey } = await import('./check-valkey.ts')
    const look = await checkValkey(limits.valkey)
    yield* look.checks
    processes = Math.max(processes, look.processes ?? 0)
  }
  if (records.kind === 'sqlite') {
    yield await checkRecords(resolve(records.file))
  } else if (records.postgres) {
    const { checkPostgres } = await import('./check-postgres.ts')
    yield* checkPostgres({ postgres: records.postgres, processes })
  }
}

function checkWorkers(workers: number, mayBeMore: boolean): Check {
  const cores = availableParallelism()
  const text = `${workers} serving ${workers === 1 ? 'process' : 'processes'}, ${cores} ${cores === 1 ? 'core' : 'cores'}`
  if (workers > cores) return warn('workers', `${text}: more processes than cores gain nothing; lower workers`)
  return workers < cores && mayBeMore ? ok('workers', `${text}: workers may be up to ${cores}`) : ok('workers', text)
}

/** Writes, syncs and removes a file: what the server does for every part. */
async function checkFolder(name: string, folder: string): Promise<Check> {
  const existing = await nearestExisting(folder)
  const probe = join(existing, `.sealift-doctor-${randomUUID()}`)
  const startedAtMs = performance.now()
  try {
    await using handle = await open(probe, 'wx', 0o600)
    await handle.writeFile(new Uint8Array(4096))
    await handle.datasync()
    const elapsedMs = performance.now() - startedAtMs
    const place = existing === folder ? folder : `${folder} (not there yet; it will be made)`
    const text = `${place} can be written and synced (${formatDuration(elapsedMs)})`
    return elapsedMs > SLOW_SYNC_MS ? warn(name, `${text}; each part waits for that`) : ok(name, text)
  } catch (error) {
    const { message } = explain(error)
    return fail(name, message.includes(existing) ? message : `${existing}: ${message}`)
  } finally {
    await rm(probe, { force: true }).catch(() => {})
  }
}

async function nearestExisting(folder: string): Promise<string> {
  const there = await access(folder, constants.F_OK).then(
    () => true,
    () => false,
  )
  return there || dirname(folder) === folder ? folder : nearestExisting(dirname(folder))
}

async function checkSpace({ storage }: ServerConfig): Promise<Check> {
  const { bavail, blocks, bfree, bsize } = await statfs(await nearestExisting(resolve(storage.directory)))
  const freeBytes = bavail * bsize
  // As `df` counts: what only root may use is neither free nor used.
  const usedPercent = Math.ceil(((blocks - bfree) / Math.max(1, blocks - bfree + bavail)) * 100)
  const text = `${formatSize(freeBytes)} free, ${usedPercent}% used`
  if (usedPercent > storage.refuseAbovePercent)
    return fail(
      'disk',
      `${text}: uploads are refused above ${storage.refuseAbovePercent}% (storage.refuseAbovePercent)`,
    )
  return freeBytes < LOW_SPACE_BYTES ? warn('disk', `${text}: that is little`) : ok('disk', text)
}

/** A port that is taken is fine when it is taken by the server itself, or when the port is not set. */
async function checkPort(name: string, { host, port, mayMove = false }: PortToCheck): Promise<Check> {
  const error = await listenOnce(host, port)
  const address = `${host}:${port}`
  if (error === null) return ok(name, `${address} is free`)
  if (error.code !== 'EADDRINUSE') return fail(name, `${address} cannot be used (${error.code ?? error.message})`)
  const ours = await isSealift(host, port)
  if (ours) return ok(name, `${address} is taken by a Sealift server, which responds`)
  if (mayMove) return ok(name, `${address} is taken by another program; any free port is taken instead`)
  return fail(name, `${address} is taken by another program`)
}

interface PortToCheck {
  readonly host: string
  readonly port: number
  readonly mayMove?: boolean
}

function listenOnce(host: string, port: number): Promise<NodeJS.ErrnoException | null> {
  return new Promise(resolve => {
    const server = createServer()
    server.once('error', resolve)
    server.listen({ host, port }, () => server.close(() => resolve(null)))
  })
}

async function isSealift(host: string, port: number): Promise<boolean> {
  const reachable = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '[::1]' : host.includes(':') ? `[${host}]` : host
  try {
    const response = await fetch(`http://${reachable}:${port}/healthz`, { signal: AbortSignal.timeout(3000) })
    const body: unknown = await response.json()
    return typeof body === 'object' && body !== null && 'status' in body
  } catch {
    return false
  }
}

const SYSTEM_LIMIT = '/proc/sys/net/core/somaxconn'

/** How many connections the system holds until they are accepted. Nothing where it does not tell. */
export async function* checkBacklog(backlog: number, limitFile = SYSTEM_LIMIT): AsyncGenerator<Check> {
  const limit = Number(await readFile(limitFile, 'utf8').catch(() => ''))
  if (!Number.isInteger(limit) || limit <= 0) return
  if (limit >= backlog) yield ok('backlog', `${backlog} connections may wait to be accepted (listen.backlog)`)
  else
    yield warn(
      'backlog',
      `the system holds ${limit} waiting connections, not ${backlog} (listen.backlog), and cuts a larger burst: sysctl -w net.core.somaxconn=${backlog}, then restart the server`,
    )
}

/** Reads the record file as SQLite does, without changing it; a running server is not disturbed. */
export async function checkRecords(file: string): Promise<Check> {
  if (!existsSync(file)) return ok('records', `${file} is not there yet; it will be made`)
  try {
    const { default: Database } = await import('better-sqlite3')
    const database = new Database(file, { readonly: true, fileMustExist: true })
    try {
      const found: unknown = database.pragma('quick_check(1)', { simple: true })
      return found === 'ok'
        ? ok('records', `${file} is sound`)
        : fail('records', `${file} is damaged: restore a backup`)
    } finally {
      database.close()
    }
  } catch (error) {
    return fail('records', `${file} cannot be read: ${explain(error).message}`)
  }
}

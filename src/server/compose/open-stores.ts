/** Opens the configured stores; libraries of other stores are not loaded. */
import { dirname } from 'node:path'
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

import { makeFolder } from '../../files/make-folder.ts'
import { SealiftError } from '../../protocol/errors.ts'
import type { BlobStore, ChecksBlobs, GrantsDirectAccess, LocatesFiles, MeasuresSpace } from '../blobs/blob-store.ts'
import { openFileBlobStore } from '../blobs/file/blob-store.ts'
import { firstProblem, type S3Finding } from '../blobs/s3/probe-findings.ts'
import type { S3Config, ServerConfig } from '../config/config-schema.ts'
import type { MarksChanges, MeasuresRecordSpace, RecordStore } from '../records/record-store.ts'
import { openSqliteRecordStore } from '../records/sqlite/index.ts'
import { openSpaceReserve, SpaceReserveRecords } from '../records/sqlite/space-reserve.ts'
import { cacheMedia } from '../transfers/download/media-cache.ts'

/** A blob store with its optional abilities. */
export type AnyBlobStore = BlobStore & Partial<MeasuresSpace & ChecksBlobs & LocatesFiles & GrantsDirectAccess>

export interface Stores {
  readonly blobs: AnyBlobStore
  readonly records: RecordStore & Partial<MarksChanges & MeasuresRecordSpace>
}

export interface OpenStores {
  /** Whether disk space is reserved for the records: by a server, not by a command that only reads. */
  readonly reserve?: boolean
}

/** @throws unavailable, storage_full, naming the setting that is wrong; the caller disposes `resources` */
export async function openStores(
  config: ServerConfig,
  resources: AsyncDisposableStack,
  { reserve = true }: OpenStores = {},
): Promise<Stores> {
  const records = await openRecords(config, resources, reserve)
  const blobs = await openBlobs(config, resources)
  return { blobs, records }
}

/** True when no other process changes the records, so that they may be cached. */
export function isOnlyProcess({ records, workers }: ServerConfig): boolean {
  return records.kind === 'sqlite' && workers === 1
}

/** Caches media records where this process learns of every change: by its own calls, or by a change mark. */
export function cacheMediaRecords(stores: Stores, config: ServerConfig): Stores {
  const { changeMark } = stores.records
  if (isOnlyProcess(config)) return { ...stores, records: cacheMedia(stores.records) }
  return changeMark ? { ...stores, records: cacheMedia(stores.records, { changeMark }) } : stores
}

async function openBlobs({ storage, tiers }: ServerConfig, resources: AsyncDisposableStack): Promise<AnyBlobStore> {
  if (storage.kind === 'files') {
    return resources.use(await openFileBlobStore({ directory: storage.directory, openFiles: openFileLimit() }))
  }
  const { openS3BlobStore } = await import('../blobs/s3/blob-store.ts')
  const s3 = required(storage.s3, 'storage.s3')
  return resources.use(openS3BlobStore({ ...s3Options(s3), maxSockets: s3.maxSockets ?? socketsFor(tiers) }))
}

/** The connection as the S3 adapters take it. */
export function s3Options({ memory, publicEndpoint, maxSockets, ...connection }: S3Config) {
  return {
    ...connection,
    memoryBytes: memory,
    ...(publicEndpoint === null ? {} : { publicEndpoint }),
    ...(maxSockets === null ? {} : { maxSockets }),
  }
}

async function openRecords(
  { records }: ServerConfig,
  resources: AsyncDisposableStack,
  reserved: boolean,
): Promise<Stores['records']> {
  if (records.kind === 'postgres') {
    const { openPostgresRecordStore } = await import('../records/postgres/index.ts')
    return resources.use(await openPostgresRecordStore(required(records.postgres, 'records.postgres')))
  }
  if (!reserved) return resources.use(await openSqliteRecordStore({ file: records.file }))
  await makeFolder(dirname(records.file))
  const reserve = resources.use(await openSpaceReserve(`${records.file}.reserve`))
  return new SpaceReserveRecords(resources.use(await openSqliteRecordStore({ file: records.file })), reserve)
}

/** The configuration was checked for it; this narrows the type. */
function required<T>(section: T | null, key: string): T {
  if (section === null) throw new SealiftError('internal', `The configuration lacks ${key}`)
  return section
}

/** Enough for media that are read repeatedly; more would only hold files of old media open. */
const MOST_OPEN_FILES = 4096
/** Where the limit of the system is unknown. */
const FALLBACK = 512

/** How many files the blob store may hold open: an eighth of the limit of the process; connections get the rest. */
export function openFileLimit(limits: () => string = () => readFileSync('/proc/self/limits', 'utf8')): number {
  const allowed = Number(/^Max open files\s+(\d+)/m.exec(orEmpty(limits))?.[1] ?? FALLBACK * 8)
  return Math.min(MOST_OPEN_FILES, Math.max(64, Math.floor(allowed / 8)))
}

function orEmpty(read: () => string): string {
  try {
    return read()
  } catch {
    return ''
  }
}

const CLIENTS_AT_THEIR_CAPS = 16
/** A download requests the next part while the last one is sent; an upload in one request sends two parts at once. */
const SOCKETS_A_SLOT = 2
const FEWEST_SOCKETS = 256
const MOST_SOCKETS = 10_000

/**
 * Connections of a process to the storage service in each direction: enough that transfers within their caps do not
 * wait behind slow transfers of other clients. They are opened on demand.
 */
export function socketsFor(tiers: ServerConfig['tiers']): number {
  const slots = Object.values(tiers).flatMap(tier => [tier.concurrentUploads, tier.concurrentDownloads])
  return Math.min(
    MOST_SOCKETS,
    Math.max(FEWEST_SOCKETS, CLIENTS_AT_THEIR_CAPS * SOCKETS_A_SLOT * Math.max(0, ...slots)),
  )
}

/** Timeout of one request to the service at start. */
const REQUEST_MS = 4000
/** Timeout of all requests at start. */
const PROBE_MS = 15_000
/**
 * A service that cannot be reached (a restart, an overload) is tried again; other errors of configuration are final.
 */
const TRIES = 3
const PAUSE_MS = 400
const ENOUGH_MS = 3000

/**
 * Probes a configured S3 service at start, before anything relies on it.
 * @returns findings for the log; none for files
 * @throws unavailable, in one line that names the setting and holds no secret
 */
export async function checkStorage(config: ServerConfig): Promise<readonly S3Finding[]> {
  if (config.storage.kind !== 's3') return []
  const startedAtMs = performance.now()
  for (let tries = 1; ; tries += 1) {
    const findings = await probeStorage(config, AbortSignal.timeout(PROBE_MS), REQUEST_MS)
    const problem = firstProblem(findings.filter(each => !onlySomeClients(each)))
    if (!problem) return findings.filter(({ level }) => level !== 'ok')
    const mayPass = problem.setting === 'storage.s3.endpoint' && performance.now() - startedAtMs < ENOUGH_MS
    if (!mayPass || tries === TRIES) throw new SealiftError('unavailable', problem.message)
    await sleep(PAUSE_MS * tries)
  }
}

/** Probes the configured service. @throws unavailable when it takes too long */
export async function probeStorage(
  config: ServerConfig,
  signal: AbortSignal,
  requestMs = Infinity,
): Promise<readonly S3Finding[]> {
  const { storage, cors } = config
  if (storage.s3 === null) return []
  const { probeS3 } = await import('../blobs/s3/probe-s3.ts')
  const connection = s3Options(storage.s3)
  try {
    const direct = storage.transfer === 'direct'
    const corsOrigins = direct ? cors.origins : []
    const requestTimeoutMs = Math.min(connection.requestTimeoutMs, requestMs)
    const connectTimeoutMs = Math.min(connection.connectTimeoutMs, requestMs)
    return await probeS3({ ...connection, requestTimeoutMs, connectTimeoutMs, direct, corsOrigins }, signal)
  } catch (error) {
    if (!signal.aborted || !isTimeout(signal.reason)) throw error
    throw new SealiftError('unavailable', 'storage.s3.endpoint: the service responds too slowly to be used')
  }
}

/** Findings that do not stop a server: programs need no CORS rules, and clients can transfer through this server. */
function onlySomeClients({ check, setting }: S3Finding): boolean {
  return check === 'cors' || setting === 'storage.s3.publicEndpoint'
}

function isTimeout(reason: unknown): boolean {
  return reason instanceof Error && reason.name === 'TimeoutError'
}

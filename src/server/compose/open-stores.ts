/** Opens the stores that the configuration names; the libraries of the others are not even loaded. */
import { dirname } from 'node:path'
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

import { makeFolder } from '../../files/make-folder.ts'
import { SealiftError } from '../../protocol/errors.ts'
import type { BlobStore, ChecksBlobs, GrantsDirectAccess, LocatesFiles, MeasuresSpace } from '../blobs/blob-store.ts'
import { openFileBlobStore } from '../blobs/file/blob-store.ts'
import { firstProblem, type S3Finding } from '../blobs/s3/probe-findings.ts'
import type { S3Config, ServerConfig } from '../config/schema.ts'
import type { MarksChanges, MeasuresRecordSpace, RecordStore } from '../records/record-store.ts'
import { openSqliteRecordStore } from '../records/sqlite/index.ts'
import { openSpaceReserve, SpaceReserveRecords } from '../records/sqlite/space-reserve.ts'
import { cacheMedia } from '../transfers/download/media-cache.ts'

/** A store of bytes, with what else it may be able to do. */
export type AnyBlobStore = BlobStore & Partial<MeasuresSpace & ChecksBlobs & LocatesFiles & GrantsDirectAccess>

export interface Stores {
  readonly blobs: AnyBlobStore
  readonly records: RecordStore & Partial<MarksChanges & MeasuresRecordSpace>
}

export interface OpenStores {
  /** Whether a piece of the disk is set aside for the records: by a server, not by who only looks. */
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

/** True when no other process changes the records: then what was read from them may be remembered for a moment. */
export function isOnlyProcess({ records, workers }: ServerConfig): boolean {
  return records.kind === 'sqlite' && workers === 1
}

/** Caches records of media where every change reaches this process: through its own calls, or as a change mark. */
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

/** The configuration is checked for it; this is for the compiler. */
function required<T>(section: T | null, key: string): T {
  if (section === null) throw new SealiftError('internal', `The configuration lacks ${key}`)
  return section
}

/** Enough for what is read again and again; more would only keep files of old media open. */
const MOST_OPEN_FILES = 4096
/** Where the system does not tell its limit. */
const FALLBACK = 512

/** How many files the blob store may keep open: an eighth of what the process may have, the rest is for connections. */
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
/** A download asks for its next part while the end of one is passed on; a media in one request sends two parts at once. */
const SOCKETS_A_SLOT = 2
const FEWEST_SOCKETS = 256
const MOST_SOCKETS = 10_000

/**
 * Connections to the storage service that a process may hold each way, so that transfers within their caps do not wait
 * for one behind the slow transfers of others. They are made as they are needed.
 */
export function socketsFor(tiers: ServerConfig['tiers']): number {
  const slots = Object.values(tiers).flatMap(tier => [tier.concurrentUploads, tier.concurrentDownloads])
  return Math.min(
    MOST_SOCKETS,
    Math.max(FEWEST_SOCKETS, CLIENTS_AT_THEIR_CAPS * SOCKETS_A_SLOT * Math.max(0, ...slots)),
  )
}

/** A service that answers slower than this at start is not waited for. */
const QUESTION_MS = 4000
/** For all of it, should each question nearly take its time. */
const ALL_MS = 15_000
/** A service that fails for a moment (a restart, an overload) is asked again; one that is configured wrong is not. */
const TRIES = 3
const PAUSE_MS = 400
const ENOUGH_MS = 3000

/**
 * @returns what is worth telling; nothing for files
 * @throws unavailable, in one line that names the setting and holds no secret
 */
export async function checkStorage(config: ServerConfig): Promise<readonly S3Finding[]> {
  if (config.storage.kind !== 's3') return []
  const startedAtMs = performance.now()
  for (let tries = 1; ; tries += 1) {
    const findings = await probeStorage(config, AbortSignal.timeout(ALL_MS), QUESTION_MS)
    const problem = firstProblem(findings.filter(each => !onlySomeClients(each)))
    if (!problem) return findings.filter(({ level }) => level !== 'ok')
    const mayPass = problem.setting === 'storage.s3.endpoint' && performance.now() - startedAtMs < ENOUGH_MS
    if (!mayPass || tries === TRIES) throw new SealiftError('unavailable', problem.message)
    await sleep(PAUSE_MS * tries)
  }
}

/** All that can be found out about the configured service. @throws unavailable when it takes too long */
export async function probeStorage(
  config: ServerConfig,
  signal: AbortSignal,
  questionMs = Infinity,
): Promise<readonly S3Finding[]> {
  const { storage, cors } = config
  if (storage.s3 === null) return []
  const { probeS3 } = await import('../blobs/s3/probe-s3.ts')
  const connection = s3Options(storage.s3)
  try {
    const direct = storage.transfer === 'direct'
    const corsOrigins = direct ? cors.origins : []
    const requestTimeoutMs = Math.min(connection.requestTimeoutMs, questionMs)
    const connectTimeoutMs = Math.min(connection.connectTimeoutMs, questionMs)
    return await probeS3({ ...connection, requestTimeoutMs, connectTimeoutMs, direct, corsOrigins }, signal)
  } catch (error) {
    if (!signal.aborted || !isTimeout(signal.reason)) throw error
    throw new SealiftError('unavailable', 'storage.s3.endpoint: the service answers too slowly to be used')
  }
}

/** Programs need no CORS rules, and whoever cannot use the service directly goes through this server. */
function onlySomeClients({ check, setting }: S3Finding): boolean {
  return check === 'cors' || setting === 'storage.s3.publicEndpoint'
}

function isTimeout(reason: unknown): boolean {
  return reason instanceof Error && reason.name === 'TimeoutError'
}

/**
 * The public face of the server: the command line imports nothing else of `src/server`, and tests where they can.
 * What loads large libraries is behind a function that imports it.
 */
export type { AnyBlobStore, Stores } from './compose/open-stores.ts'
export { ConfigError, type ConfigProblem } from './config/config-error.ts'
export { configWarnings } from './config/cross-checks.ts'
export { configFileOf, type Environment, WORKER_TOKEN_VARIABLE, workerTokenHash } from './config/environment.ts'
export { createLiveConfig, type LiveConfigHolder } from './config/live-config.ts'
export { type ConfigSources, createReloader, loadConfig, type ReloadResult } from './config/load-config.ts'
export { mergeRaw, type RawMap } from './config/raw.ts'
export type { PostgresConfig, S3Config, ServerConfig, ValkeyConfig } from './config/config-schema.ts'
export { printConfig } from './config/write-config.ts'
export { hashToken, newToken } from './access/tokens.ts'
export type { S3Finding } from './blobs/s3/probe-findings.ts'
export type { RunningServer, StartServerOptions } from './main.ts'
export type { ValkeyLink } from './cluster/valkey-link.ts'
export type { RecordStore } from './records/record-store.ts'
export type { Usage } from './records/record-types.ts'
export { adminAddress, DEFAULT_ADMIN_PORT } from './telemetry/admin-server.ts'
export type { Events } from './telemetry/events.ts'
export type { Finding, FindingKind, FsckReport, HeldBack } from './upkeep/check-consistency.ts'
export { canCheck } from './upkeep/check-blobs.ts'
export type { Supervisor } from './workers/supervisor.ts'
export { linkToSupervisor } from './workers/worker-process.ts'

/** Starting a server. */
export const loadServer = () => import('./main.ts')

/** Several processes that serve one port. */
export const loadWorkers = () => import('./workers/supervisor.ts')

/** The stores that a configuration names, and what their service can do. */
export const loadStores = () => import('./compose/open-stores.ts')

/** The comparison of blobs and records. */
export const loadFsck = () => import('./upkeep/check-consistency.ts')

/** The CORS rules of a bucket. */
export const loadBucketRules = () => import('./blobs/s3/bucket-cors.ts')

/** What `sealift doctor` asks PostgreSQL and Valkey with. */
export const loadProbes = () => import('./compose/probes.ts')

/**
 * Two nodes in processes of their own, on S3 behind a proxy that fails as it is told, on a PostgreSQL and a Valkey of
 * their own that can be killed. Leases are short, so that a pause of two seconds is longer than all of them.
 */
import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'

import type { Client } from 'pg'

import type { S3Connection } from '../../../src/server/blobs/s3/s3-client.ts'
import { openPostgresRecordStore } from '../../../src/server/records/postgres/index.ts'
import type { RecordStore } from '../../../src/server/index.ts'
import { cephEngine } from '../engines/ceph.ts'
import { createDatabase, type RunningPostgres, startPostgres } from '../engines/postgres.ts'
import { sharedEngine } from '../engines/shared.ts'
import { type RunningValkey, startValkey } from '../engines/valkey.ts'
import { makeBucket } from '../s3-bucket.ts'
import { startS3FaultProxy, type S3FaultProxy } from '../s3-fault-proxy.ts'
import { startServerProcess, type ServerProcess } from '../server-process.ts'
import { PART_BYTES } from './facts.ts'

export const CAPS = { uploads: 3, downloads: 3, storedBytes: 12 * 2 ** 20 } as const
export const LEASE_MS = 2000

/** How long an address of the store works. Not above `LEASE_MS`, after which outages of Valkey are forgotten. */
export const DIRECT_MS = 2000

export const CLIENTS = 2
/** The keys of this run's Valkey. */
const PREFIX = 'chaos:'

export const tokenOf = (client: number): string => `token-of-client-${client}-of-the-chaos-tests`

export interface ChaosCluster extends AsyncDisposable {
  readonly nodes: readonly ChaosNode[]
  readonly s3: S3FaultProxy
  readonly postgres: RunningPostgres
  readonly valkey: RunningValkey
  /** The bucket, not by way of the proxy. */
  readonly bucket: S3Connection
  /** The database, on connections of its own. */
  readonly records: RecordStore
  /** Another connection to it; end it when done. */
  connect(): Promise<Client>
}

export async function startChaosCluster(): Promise<ChaosCluster> {
  const resources = new AsyncDisposableStack()
  try {
    return await start(resources)
  } catch (error) {
    await resources.disposeAsync()
    throw error
  }
}

async function start(resources: AsyncDisposableStack): Promise<ChaosCluster> {
  const bucket = { ...(await makeBucket(await sharedEngine(cephEngine))), prefix: 'chaos/' }
  const [postgres, valkey] = await Promise.all([startPostgres(), startValkey()])
  resources.use(postgres)
  resources.use(valkey)
  const s3 = resources.use(await startS3FaultProxy(bucket.endpoint))
  const database = await createDatabase(postgres.facts)
  const folder = mkdtempSync(join(tmpdir(), 'sealift-chaos-'))
  resources.defer(() => rmSync(folder, { recursive: true, force: true }))
  const config = configOf({ ...bucket, endpoint: s3.url }, database.url, valkey.facts.url)
  const nodes = [0, 1].map(index => resources.use(new ChaosNode(join(folder, `node-${index}`), config)))
  await Promise.all(nodes.map(node => node.start()))
  const records = resources.use(
    await openPostgresRecordStore({ url: database.url, poolSize: 2, connectTimeoutMs: 5000, statementTimeoutMs: 5000 }),
  )
  const connect = () => database.connect()
  return {
    nodes,
    s3,
    postgres,
    valkey,
    bucket,
    records,
    connect,
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  }
}

function configOf(s3: S3Connection, databaseUrl: string, valkeyUrl: string): Record<string, unknown> {
  const { endpoint, region, bucket, prefix, accessKeyId, secretAccessKey } = s3
  return {
    storage: {
      kind: 's3',
      transfer: 'direct',
      directUrlTtl: `${DIRECT_MS}ms`,
      s3: {
        endpoint,
        region,
        bucket,
        prefix,
        accessKeyId,
        secretAccessKey,
        requestTimeout: '1s',
        connectTimeout: '1s',
        maxSockets: 32,
        memory: '1MiB',
      },
    },
    records: {
      kind: 'postgres',
      postgres: { url: databaseUrl, poolSize: 6, connectTimeout: '2s', statementTimeout: '2s' },
    },
    limits: {
      shared: 'valkey',
      valkey: { url: valkeyUrl, prefix: PREFIX, leaseTtl: `${LEASE_MS}ms`, commandTimeout: '500ms' },
    },
    access: {
      openMode: 'off',
      tokens: Array.from({ length: CLIENTS }, (_, client) => ({
        subject: `client-${client}`,
        sha256: createHash('sha256').update(tokenOf(client)).digest('hex'),
      })),
    },
    transfer: { partBytes: PART_BYTES, idleTimeout: '5s', minimumBytesPerSecond: 0, stopGrace: '1s' },
    tiers: {
      default: {
        concurrentUploads: CAPS.uploads,
        concurrentDownloads: CAPS.downloads,
        queueWait: '2s',
        storedBytes: CAPS.storedBytes,
      },
    },
    log: { level: 'info' },
    upkeep: { sweepEvery: '200ms', orphanGrace: '1s', keepEnded: '1h' },
  }
}

const START_MS = 30_000

export class ChaosNode implements AsyncDisposable {
  readonly #directory: string
  readonly #config: Record<string, unknown>
  #process: ServerProcess | null = null
  #starting: Promise<void> | null = null
  #isPaused = false
  #log = ''

  constructor(directory: string, config: Record<string, unknown>) {
    mkdirSync(directory)
    this.#directory = directory
    this.#config = config
  }

  /** Where it listens; `null` while it is down. Another port after each start. */
  get url(): string | null {
    return this.#process?.url ?? null
  }

  /** Everything its processes have written so far. */
  get log(): string {
    return this.#log + (this.#process?.log() ?? '')
  }

  /** Starts it, again and again as a supervisor does, since it ends when a store does not work. */
  start(): Promise<void> {
    this.#starting ??= this.#start().finally(() => (this.#starting = null))
    return this.#starting
  }

  async #start(): Promise<void> {
    const deadline = performance.now() + START_MS
    while (this.#process === null) {
      try {
        this.#process = await startServerProcess({
          directory: this.#directory,
          config: this.#config,
          wrapper: ['setpriv', '--pdeathsig', 'KILL'],
        })
      } catch (error) {
        if (performance.now() > deadline) throw error
        await pause(100)
      }
    }
  }

  async kill(): Promise<void> {
    const process = this.#process
    this.#process = null
    if (process === null) return
    await process.kill()
    this.#log += process.log()
  }

  pause(): void {
    this.#isPaused = this.#signal('SIGSTOP')
  }

  resume(): void {
    if (this.#isPaused) this.#signal('SIGCONT')
    this.#isPaused = false
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.resume()
    await this.kill()
  }

  #signal(name: NodeJS.Signals): boolean {
    return this.#process !== null && process.kill(this.#process.pid, name)
  }
}

/** The keys under which held slots are kept in Valkey, one for each client and direction. */
export const HELD_KEYS = `${PREFIX}transfers:held:*`

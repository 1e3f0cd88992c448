/**
 * A whole server in this process: real sockets on a free port, real files in a folder of its own. With
 * `SEALIFT_TEST_STORES=cluster` it is two nodes on S3, PostgreSQL and Valkey, behind a balancer that takes turns.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import {
  createLiveConfig,
  type LiveConfigHolder,
  loadConfig,
  mergeRaw,
  type RawMap,
  type StartServerOptions,
} from '../../src/server/index.ts'
import { startServer } from '../../src/server/main.ts'
import { startBalancer } from './balancer.ts'
import { clusterStores, onCluster } from './cluster-stores.ts'
import { LOCAL_TOKEN_SHA256 } from './local-token.ts'

export interface TestServer extends AsyncDisposable {
  readonly url: string
  /** The first node's. */
  readonly adminUrl: string | null
  readonly dataDirectory: string
  /**
   * How many serve at `url`, in turn. What one of them does for itself, such as counting connections, is done so
   * often.
   */
  readonly nodes: number
  /** The configuration in force; `apply` changes it as a reload does. */
  readonly live: LiveConfigHolder
  /** Applies written values over those the server was started with. */
  reconfigure(overrides: RawMap): Promise<void>
  /** Stops it, and removes its folder unless another server is to be started on it. */
  stop(options?: { keepData?: boolean }): Promise<void>
}

/** Asks every node, one after the other: the balancer takes turns. */
export async function onEveryNode({ nodes }: Pick<TestServer, 'nodes'>, ask: () => Promise<boolean>): Promise<boolean> {
  for (let node = 0; node < nodes; node += 1) {
    if (!(await ask())) return false
  }
  return true
}

export interface TestServerOptions extends StartServerOptions {
  /** That of an earlier server. */
  readonly dataDirectory?: string
}

/** `overrides` are written as in a configuration file: `{ transfer: { idleTimeout: '300ms' } }`. */
export async function startTestServer(overrides: RawMap = {}, options: TestServerOptions = {}): Promise<TestServer> {
  const { dataDirectory: given, ...serverOptions } = options
  const dataDirectory = given ?? (await mkdtemp(join(tmpdir(), 'sealift-test-')))
  const base = { dataDirectory, listen: { port: 0 }, admin: { port: 0 }, log: { level: 'silent' } }
  const stores = onCluster ? await clusterStores(dataDirectory) : {}
  const configured = (over: RawMap) =>
    loadConfig({ environment: {}, overrides: mergeRaw(mergeRaw(stores, base), over) })
  const live = createLiveConfig(await configured(overrides))
  const nodes = await startNodes(live, { localTokenSha256: LOCAL_TOKEN_SHA256, ...serverOptions })
  const stop = async ({ keepData = false } = {}) => {
    await nodes.stop()
    if (!keepData) await rm(dataDirectory, { recursive: true, force: true })
  }
  return {
    url: nodes.url,
    adminUrl: nodes.adminUrl,
    dataDirectory,
    nodes: onCluster ? 2 : 1,
    live,
    async reconfigure(over) {
      live.apply(await configured(mergeRaw(overrides, over)))
    },
    stop,
    [Symbol.asyncDispose]: () => stop(),
  }
}

interface Nodes {
  readonly url: string
  readonly adminUrl: string | null
  stop(): Promise<void>
}

/** Two nodes that read one live configuration stand for two with the same file. */
async function startNodes(live: LiveConfigHolder, options: StartServerOptions): Promise<Nodes> {
  const first = await startServer(live, options)
  if (!onCluster) return first
  const second = await startServer(live, options)
  const balancer = await startBalancer(() => [first.url, second.url])
  return {
    url: balancer.url,
    adminUrl: first.adminUrl,
    async stop() {
      await Promise.all([first.stop(), second.stop()])
      await balancer[Symbol.asyncDispose]()
    },
  }
}

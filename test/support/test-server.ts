/** A whole server in this process: real sockets on a free port, real files in a folder of its own. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { createLiveConfig, type LiveConfigHolder } from '../../src/server/config/live-config.ts'
import { loadConfig } from '../../src/server/config/load-config.ts'
import { mergeRaw, type RawMap } from '../../src/server/config/raw.ts'
import { startServer, type ServerOptions } from '../../src/server/main.ts'

export interface TestServer extends AsyncDisposable {
  readonly url: string
  readonly adminUrl: string | null
  readonly dataDirectory: string
  /** The configuration in force; `apply` changes it as a reload does. */
  readonly live: LiveConfigHolder
  /** Applies written values over those the server was started with. */
  reconfigure(overrides: RawMap): Promise<void>
  /** Stops it, and removes its folder unless another server is to be started on it. */
  stop(options?: { keepData?: boolean }): Promise<void>
}

export interface TestServerOptions extends ServerOptions {
  /** That of an earlier server. */
  readonly dataDirectory?: string
}

/** `overrides` are written as in a configuration file: `{ transfer: { idleTimeout: '300ms' } }`. */
export async function startTestServer(overrides: RawMap = {}, options: TestServerOptions = {}): Promise<TestServer> {
  const { dataDirectory: given, ...serverOptions } = options
  const dataDirectory = given ?? (await mkdtemp(join(tmpdir(), 'sealift-test-')))
  const base = { dataDirectory, listen: { port: 0 }, admin: { port: 0 }, log: { level: 'silent' } }
  const configured = (over: RawMap) => loadConfig({ environment: {}, overrides: mergeRaw(base, over) })
  const live = createLiveConfig(await configured(overrides))
  const server = await startServer(live, serverOptions)
  const stop = async ({ keepData = false } = {}) => {
    await server.stop()
    if (!keepData) await rm(dataDirectory, { recursive: true, force: true })
  }
  return {
    url: server.url,
    adminUrl: server.adminUrl,
    dataDirectory,
    live,
    async reconfigure(over) {
      live.apply(await configured(mergeRaw(overrides, over)))
    },
    stop,
    [Symbol.asyncDispose]: () => stop(),
  }
}

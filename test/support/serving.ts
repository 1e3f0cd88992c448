/** `sealift serve` as a process, or two behind a balancer, by the stores that the suites run on. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { mergeRaw, type RawMap } from '../../src/server/index.ts'
import { startBalancer } from './balancer.ts'
import { clusterStores, onCluster } from './cluster-stores.ts'
import { OPEN_NODES, readServeToken, useLocalToken } from './local-token.ts'
import { startCli, until, type CliResult, type RunningCli } from './running-cli.ts'

/** The process that serves. Where there are two, both as one: a signal goes to each, and the result waits for each. */
export interface ServingProcess {
  readonly child: { readonly pid: number; kill(signal: NodeJS.Signals): void }
  /** The first one's. */
  readonly stdout: () => string
  /** All that has been written so far, by whichever. */
  readonly stderr: () => string
  /** Whether each of them has written this to standard error. */
  readonly logged: (text: string) => boolean
  /** How many have not ended. */
  readonly alive: () => number
  /** Of the first that did not end well. */
  readonly result: Promise<CliResult>
}

export interface Serving extends AsyncDisposable {
  readonly url: string
  /** Where the first process listens itself. */
  readonly ownUrl: string
  readonly running: ServingProcess
  /** How many processes serve at `url`, in turn. */
  readonly nodes: number
  readonly configFile: string
  readonly dataDirectory: string
  /** Replaces what the configuration file says; a reload is the caller's. */
  writeConfig(config: object): void
}

const BASE_CONFIG = { listen: { port: 0 }, admin: { enabled: false } }

/** `sealift serve` on free ports, its data below `directory` or in stores of its own, which outlive it. */
export async function startServe(directory: string, config: object = {}): Promise<Serving> {
  await using resources = new AsyncDisposableStack()
  const configFile = join(directory, 'sealift.yaml')
  const dataDirectory = join(directory, 'data')
  const base = onCluster ? mergeRaw(OPEN_NODES, await clusterStores(dataDirectory)) : {}
  const writeConfig = (next: object): void =>
    writeFileSync(configFile, JSON.stringify({ ...BASE_CONFIG, dataDirectory, ...mergeRaw(base, next as RawMap) }))
  writeConfig(config)
  const processes = Array.from({ length: onCluster ? 2 : 1 }, () =>
    resources.use(startCli(['serve', '--config', configFile])),
  )
  const urls = await Promise.all(processes.map(addressOf))
  const [ownUrl = ''] = urls
  const { url } = onCluster ? resources.use(await startBalancer(() => urls)) : { url: ownUrl }
  useLocalToken(url, onCluster ? null : readServeToken(url))
  const owned = resources.move()
  return {
    url,
    ownUrl,
    running: asOne(processes),
    nodes: processes.length,
    configFile,
    dataDirectory,
    writeConfig,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

async function addressOf({ stdout, stderr, child }: RunningCli): Promise<string> {
  await until('the server tells its address', () => stdout().includes('\n') || child.exitCode !== null)
  const url = /^Sealift listens on (http:\S+)$/m.exec(stdout())?.[1]
  if (url === undefined) throw new Error(`the server did not start:\n${stderr()}`)
  return url
}

function asOne(processes: readonly RunningCli[]): ServingProcess {
  const [first] = processes
  if (!first) throw new Error('There is no process')
  return {
    child: {
      pid: first.child.pid ?? 0,
      kill: signal => {
        for (const { child } of processes.filter(isAlive)) child.kill(signal)
      },
    },
    stdout: first.stdout,
    stderr: () => processes.map(({ stderr }) => stderr()).join(''),
    alive: () => processes.filter(isAlive).length,
    logged: text => processes.every(({ stderr }) => stderr().includes(text)),
    result: resultOf(first, processes),
  }
}

function isAlive({ child }: RunningCli): boolean {
  return child.exitCode === null && child.signalCode === null
}

async function resultOf(first: RunningCli, processes: readonly RunningCli[]): Promise<CliResult> {
  const results = await Promise.all(processes.map(({ result }) => result))
  return results.find(({ code }) => code !== 0) ?? (await first.result)
}

/**
 * A server in a process of its own, on files that outlive it: to be killed and started again. Where the suites run on a
 * cluster it is two processes behind a balancer, on stores that outlive them.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

import { stringify } from 'yaml'

import { mergeRaw, type RawMap } from '../../src/server/index.ts'
import { startBalancer } from './balancer.ts'
import { cliCommand } from './cli-command.ts'
import { clusterStores, onCluster } from './cluster-stores.ts'
import { OPEN_NODES, readServeToken, useLocalToken } from './local-token.ts'

export interface ServerProcess extends AsyncDisposable {
  readonly url: string
  /** The first process's. */
  readonly pid: number
  /** Everything the processes have written to standard error so far. */
  readonly log: () => string
  /** `kill -9` of all; resolves when they are gone. */
  kill(): Promise<void>
  /** SIGTERM; resolves with the exit code, of the first that is not 0. */
  stop(): Promise<number | null>
}

export interface ServerProcessOptions {
  readonly directory: string
  /** Written to a file and given by `--config`; listeners are on free ports and the data is in `directory`. */
  readonly config?: Readonly<Record<string, unknown>>
  /** Put before the command, such as `['prlimit', '--nofile=64']`. */
  readonly wrapper?: readonly string[]
}

export async function startServerProcess(options: ServerProcessOptions): Promise<ServerProcess> {
  const configFile = join(options.directory, 'config.yaml')
  writeFileSync(configFile, stringify(await mergeConfig(options)))
  await using resources = new AsyncDisposableStack()
  const starting = Array.from({ length: onCluster ? 2 : 1 }, () => startOne(configFile, options))
  // One that fails does not leave the other one behind.
  for (const started of await Promise.allSettled(starting)) {
    if (started.status === 'fulfilled') resources.use(started.value)
  }
  const nodes = await Promise.all(starting)
  const [first] = nodes
  if (!first) throw new Error('There is no process')
  const balancer = onCluster ? resources.use(await startBalancer(() => nodes.map(({ url }) => url))) : null
  const url = balancer?.url ?? first.url
  useLocalToken(url, balancer ? null : readServeToken(url))
  const owned = resources.move()
  return {
    url,
    pid: first.pid,
    log: () => nodes.map(({ log }) => log()).join(''),
    kill: async () => void (await Promise.all(nodes.map(node => node.kill()))),
    async stop() {
      const codes = await Promise.all(nodes.map(node => node.stop()))
      return codes.find(code => code !== 0) ?? 0
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

async function startOne(configFile: string, { wrapper = [] }: ServerProcessOptions): Promise<ServerProcess> {
  const [program, ...args] = [...wrapper, ...cliCommand(), 'serve', '--config', configFile]
  const child = spawn(program ?? process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  let log = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (log += text))
  const url = await readAddress(child, () => log)
  const end = async (signal: NodeJS.Signals): Promise<number | null> => {
    if (child.exitCode === null && child.signalCode === null) {
      const exited = once(child, 'exit')
      child.kill(signal)
      await exited
    }
    return child.exitCode
  }
  return {
    url,
    pid: child.pid as number,
    log: () => log,
    kill: async () => void (await end('SIGKILL')),
    stop: () => end('SIGTERM'),
    [Symbol.asyncDispose]: async () => void (await end('SIGKILL')),
  }
}

async function mergeConfig({ directory, config = {} }: ServerProcessOptions): Promise<RawMap> {
  const section = (name: string): object => config[name] ?? {}
  const dataDirectory = join(directory, 'data')
  const base = onCluster ? mergeRaw(OPEN_NODES, await clusterStores(dataDirectory)) : {}
  return mergeRaw(base, {
    ...config,
    dataDirectory,
    listen: { port: 0, ...section('listen') },
    admin: { enabled: false, ...section('admin') },
    log: { level: 'warn', ...section('log') },
  })
}

async function readAddress(child: ChildProcess, log: () => string): Promise<string> {
  if (child.stdout === null) throw new Error('the server has no standard output')
  for await (const line of createInterface({ input: child.stdout })) {
    const address = /http:\/\/\S+/.exec(line)?.[0]
    if (address !== undefined) return address
  }
  throw new Error(`the server ended before it told its address:\n${log()}`)
}

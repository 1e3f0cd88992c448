/** A server in a process of its own, on files that outlive it: to be killed and started again. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

import { stringify } from 'yaml'

import { cliCommand } from './cli-command.ts'

export interface ServerProcess extends AsyncDisposable {
  readonly url: string
  readonly pid: number
  /** Everything the process has written to standard error so far. */
  readonly log: () => string
  /** `kill -9`; resolves when the process is gone. */
  kill(): Promise<void>
  /** SIGTERM; resolves with the exit code. */
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
  writeFileSync(configFile, stringify(mergeConfig(options)))
  const [program, ...args] = [...(options.wrapper ?? []), ...cliCommand(), 'serve', '--config', configFile]
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

function mergeConfig({ directory, config = {} }: ServerProcessOptions): Record<string, unknown> {
  const section = (name: string): object => config[name] ?? {}
  return {
    ...config,
    dataDirectory: join(directory, 'data'),
    listen: { port: 0, ...section('listen') },
    admin: { enabled: false, ...section('admin') },
    log: { level: 'warn', ...section('log') },
  }
}

async function readAddress(child: ChildProcess, log: () => string): Promise<string> {
  if (child.stdout === null) throw new Error('the server has no standard output')
  for await (const line of createInterface({ input: child.stdout })) {
    const address = /http:\/\/\S+/.exec(line)?.[0]
    if (address !== undefined) return address
  }
  throw new Error(`the server ended before it told its address:\n${log()}`)
}

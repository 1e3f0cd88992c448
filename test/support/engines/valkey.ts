/** A Valkey (or Redis) of its own: private folder, free port on loopback, nothing kept on disk. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createClient } from 'redis'

import { eventually } from '../eventually.ts'
import { findOnPath } from '../requirements.ts'
import type { Engine, RunningEngine } from './engine.ts'

export interface ValkeyFacts {
  /** With the password, if there is one. */
  readonly url: string
  readonly pid: number
}

export interface ValkeyOptions {
  readonly password?: string
}

export interface RunningValkey extends RunningEngine<ValkeyFacts> {
  /** Stops it in its tracks: connections stay, nothing is answered. */
  pause(): void
  resume(): void
  /** Ends it as a crash does; all it knew is lost. */
  kill(): Promise<void>
  /** Starts it anew on the same port, empty. */
  restart(): Promise<void>
  /** Forgets everything. */
  flush(): Promise<void>
  /** Runs one command on a connection of its own. */
  command(...args: string[]): Promise<unknown>
}

export const valkeyEngine: Engine<ValkeyFacts> = { name: 'valkey', start: () => startValkey() }

/** The program of either project; they speak the same language. */
export const valkeyProgram = (): string | null => findOnPath('valkey-server') ?? findOnPath('redis-server')

export async function startValkey({ password }: ValkeyOptions = {}): Promise<RunningValkey> {
  const program = valkeyProgram()
  if (program === null) throw new Error('There is neither valkey-server nor redis-server')
  const folder = await mkdtemp(join(tmpdir(), 'sealift-valkey-'))
  const port = await freePort()
  const url = `redis://${password === undefined ? '' : `:${encodeURIComponent(password)}@`}127.0.0.1:${port}`
  const start = async () => {
    const args = ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder, '--save', '', '--appendonly', 'no']
    const child = spawn(program, password === undefined ? args : [...args, '--requirepass', password], {
      stdio: 'ignore',
    })
    await eventually('Valkey answers', () =>
      command(url, ['PING']).then(
        () => true,
        () => child.exitCode !== null && Promise.reject(new Error('Valkey ended at once')),
      ),
    )
    return child
  }
  let child = await start()
  const kill = () => end(child)
  return {
    get facts() {
      return { url, pid: child.pid ?? 0 }
    },
    pause: () => void child.kill('SIGSTOP'),
    resume: () => void child.kill('SIGCONT'),
    kill,
    async restart() {
      await kill()
      child = await start()
    },
    flush: async () => void (await command(url, ['FLUSHALL'])),
    command: (...args) => command(url, args),
    async [Symbol.asyncDispose]() {
      await kill()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill('SIGKILL')
  await ended
}

async function command(url: string, args: string[]): Promise<unknown> {
  const client = createClient({ url, socket: { reconnectStrategy: false } })
  client.on('error', () => undefined)
  try {
    await client.connect()
    return await client.sendCommand(args)
  } finally {
    if (client.isOpen) client.destroy()
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('there is no free port')
  return address.port
}

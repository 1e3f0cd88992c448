/** A Valkey (or Redis) of its own: private folder, free port on loopback, nothing kept on disk. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createClient } from '@redis/client'

import { eventually } from '../eventually.ts'
import { findOnPath } from '../requirements.ts'
import { startDaemon } from './daemon.ts'
import type { Engine, RunningEngine } from './engine.ts'
import { freePort } from './free-port.ts'

export interface ValkeyFacts {
  /** With the password, if there is one. */
  readonly url: string
  readonly pid: number
}

export interface ValkeyOptions {
  readonly password?: string
}

export interface RunningValkey extends RunningEngine<ValkeyFacts> {
  /** Stops it in its tracks: connections stay, nothing gets a response. */
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
    const secret = password === undefined ? [] : ['--requirepass', password]
    const daemon = startDaemon([program, ...args, ...secret], join(folder, 'log'))
    await eventually('Valkey responses', async () => {
      if (!daemon.running()) throw new Error(`Valkey ended at once: ${daemon.log()}`)
      return command(url, ['PING']).then(
        () => true,
        () => false,
      )
    })
    return daemon
  }
  let daemon = await start()
  const kill = () => daemon.end()
  return {
    get facts() {
      return { url, pid: daemon.pid }
    },
    pause: () => daemon.pause(),
    resume: () => daemon.resume(),
    kill,
    async restart() {
      await kill()
      daemon = await start()
    },
    flush: async () => void (await command(url, ['FLUSHALL'])),
    command: (...args) => command(url, args),
    async [Symbol.asyncDispose]() {
      await kill()
      await rm(folder, { recursive: true, force: true })
    },
  }
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

/** Runs the real `sealift` command, as a person would. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const CLI = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))

export interface SealiftOptions {
  readonly env: Readonly<Record<string, string>>
  readonly signal: AbortSignal
  readonly cwd: string
}

/** Runs a command to its end, its progress in sight, and returns what it printed. Rejects when it fails. */
export async function sealift(args: readonly string[], { env, signal, cwd }: SealiftOptions): Promise<string> {
  const child = spawn(process.execPath, [CLI, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...env },
    signal,
    cwd,
  })
  let printed = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (printed += text))
  const [code] = (await once(child, 'close')) as [number | null]
  if (code !== 0) throw new Error(`sealift ${args[0]} ended with ${code}`)
  return printed
}

export interface DemoServer extends AsyncDisposable {
  readonly url: string
  readonly pid: number
}

/** A server on a free port; disposing it stops it gracefully. */
export async function startServer(directory: string, { env, signal, cwd }: SealiftOptions): Promise<DemoServer> {
  const child = spawn(process.execPath, [CLI, 'serve', '--port', '0', '--data', directory], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
    signal,
    cwd,
  })
  let log = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (log = (log + text).slice(-4000)))
  const url = await addressOf(child, () => log)
  return { url, pid: child.pid ?? 0, [Symbol.asyncDispose]: () => stop(child) }
}

async function addressOf(child: ChildProcess, log: () => string): Promise<string> {
  if (child.stdout === null) throw new Error('the server has no standard output')
  for await (const line of createInterface({ input: child.stdout })) {
    const address = /http:\/\/\S+/.exec(line)?.[0]
    if (address !== undefined) return address
  }
  throw new Error(`the server did not start:\n${log()}`)
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGTERM')
  await once(child, 'exit')
}

/** Starting, pinning and ending the processes of a benchmark. Every process started here ends with its owner. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'

export interface ProcessOptions {
  readonly command: string
  readonly args: readonly string[]
  /** Cores as `taskset -c` takes them; absent: wherever the scheduler likes. */
  readonly cores?: string | undefined
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
  readonly signal?: AbortSignal
}

const STOP_GRACE_MS = 10_000
const KEPT_STDERR_CHARACTERS = 4000
const running = new Set<ChildProcess>()

process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

function launch(options: ProcessOptions): ChildProcess {
  const [command, args] = options.cores
    ? ['taskset', ['-c', options.cores, options.command, ...options.args]]
    : [options.command, options.args]
  const child = spawn(command, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, NODE_ENV: 'production', ...options.env },
    ...(options.cwd ? { cwd: options.cwd } : {}),
  })
  running.add(child)
  child.once('exit', () => running.delete(child))
  return child
}

function keepStderr(child: ChildProcess): () => string {
  let text = ''
  child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
    text = (text + chunk).slice(-KEPT_STDERR_CHARACTERS)
  })
  return () => text
}

/** Runs a command to its end and returns its stdout. Rejects with its stderr when it fails. */
export async function run(options: ProcessOptions): Promise<string> {
  options.signal?.throwIfAborted()
  const child = launch(options)
  const stderr = keepStderr(child)
  const stop = (): void => void child.kill('SIGKILL')
  options.signal?.addEventListener('abort', stop)
  let stdout = ''
  child.stdout?.setEncoding('utf8').on('data', (chunk: string) => (stdout += chunk))
  try {
    const [code, killedBy] = await once(child, 'close')
    options.signal?.throwIfAborted()
    if (code !== 0) throw new Error(`${options.command} ended with ${code ?? killedBy}: ${stderr() || stdout}`)
    return stdout
  } finally {
    options.signal?.removeEventListener('abort', stop)
  }
}

/** A process that stays: a server, or a load that reports line by line. */
export interface Service extends AsyncDisposable {
  readonly pid: number
  /** Resolves with the match of the next stdout line that `pattern` matches; rejects when the process ends first. */
  line(pattern: RegExp): Promise<RegExpExecArray>
  /** Throws, with its stderr, when the process has ended. */
  assertRunning(): void
}

/**
 * Starts a service and waits until `ready` says that it is; what `ready` found is returned with it. Disposing ends it:
 * SIGTERM, then SIGKILL after a grace time.
 */
export async function startService<Found>(
  options: ProcessOptions,
  ready: (service: Service) => Promise<Found>,
): Promise<Service & { readonly found: Found }> {
  const child = launch(options)
  const stderr = keepStderr(child)
  const service: Service = {
    pid: child.pid ?? 0,
    line: lineAwaiter(child, options.command, stderr),
    assertRunning() {
      if (child.exitCode !== null || child.signalCode !== null) throw new Error(`${options.command} ended: ${stderr()}`)
    },
    [Symbol.asyncDispose]: () => end(child),
  }
  try {
    return { ...service, found: await ready(service) }
  } catch (error) {
    await end(child)
    throw error
  }
}

interface Waiter {
  readonly pattern: RegExp
  readonly found: (match: RegExpExecArray) => void
  readonly failed: (error: Error) => void
}

function lineAwaiter(child: ChildProcess, name: string, stderr: () => string): Service['line'] {
  let waiters: Waiter[] = []
  let failure: Error | null = null
  if (child.stdout) {
    createInterface({ input: child.stdout }).on('line', text => {
      waiters = waiters.filter(waiter => {
        const match = waiter.pattern.exec(text)
        if (match) waiter.found(match)
        return !match
      })
    })
  }
  const fail = (error: Error): void => {
    failure = error
    for (const waiter of waiters.splice(0)) waiter.failed(error)
  }
  child.once('error', fail)
  child.once('close', code => fail(new Error(`${name} ended early (${code}): ${stderr()}`)))
  return pattern =>
    new Promise((found, failed) => {
      if (failure) failed(failure)
      else waiters.push({ pattern, found, failed })
    })
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return
  const gone = once(child, 'exit')
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_GRACE_MS)
  await gone
  clearTimeout(timer)
}

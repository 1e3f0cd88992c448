/** Runs the real `sealift` command as a process of its own. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

const CLI = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
/** A command starts twice as fast when its compiled code is kept between runs. */
const COMPILE_CACHE = fileURLToPath(new URL('../../node_modules/.cache/sealift-tests', import.meta.url))

export interface CliOptions {
  /** Added to a small, clean environment. */
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
  /** Written to standard input, which is then closed. Absent: standard input is empty. */
  readonly stdin?: Uint8Array
  /** The caller writes to standard input, and ends it. */
  readonly keepStdinOpen?: boolean
}

export interface CliResult {
  /** `null` when a signal ended it. */
  readonly code: number | null
  readonly stdout: Buffer
  readonly stderr: string
}

/** A command that runs, with what it has said so far. Disposing it kills it. */
export interface RunningCli extends AsyncDisposable {
  readonly child: ChildProcessWithoutNullStreams
  readonly stderr: () => string
  readonly stdout: () => string
  readonly result: Promise<CliResult>
}

export function startCli(args: readonly string[], options: CliOptions = {}): RunningCli {
  const child = spawn(process.execPath, [CLI, ...args], {
    env: { ...cleanEnvironment(), ...options.env },
    stdio: 'pipe',
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  })
  const stdout: Buffer[] = []
  let stderr = ''
  child.stdout.on('data', (bytes: Buffer) => stdout.push(bytes))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  child.stdin.on('error', () => {})
  if (options.stdin === undefined && !options.keepStdinOpen) child.stdin.end()
  if (options.stdin !== undefined) child.stdin.end(options.stdin)
  const result = once(child, 'close').then(([code]) => ({
    code: code as number | null,
    stdout: Buffer.concat(stdout),
    stderr,
  }))
  return {
    child,
    stdout: () => Buffer.concat(stdout).toString(),
    stderr: () => stderr,
    result,
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL')
      await result
    },
  }
}

export async function runCli(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  await using running = startCli(args, options)
  return await running.result
}

/** Nothing of the settings of whoever runs the tests. */
export function cleanEnvironment(): Record<string, string> {
  const kept = ['PATH', 'HOME', 'XDG_STATE_HOME', 'TMPDIR', 'LANG', 'LD_LIBRARY_PATH', 'NODE_OPTIONS']
  const values = kept.flatMap(name => (process.env[name] === undefined ? [] : [[name, process.env[name]] as const]))
  return { ...Object.fromEntries(values), NODE_COMPILE_CACHE: COMPILE_CACHE }
}

/** Waits until `condition` holds. Rejects with `what` when it does not within half a minute. */
export async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadlineMs = performance.now() + 30_000
  while (!(await condition())) {
    if (performance.now() > deadlineMs) throw new Error(`still not: ${what}`)
    await new Promise(resolve => setTimeout(resolve, 20))
  }
}

/** Runs the real `sealift` command as a process of its own. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
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
  const kept = ['PATH', 'HOME', 'TMPDIR', 'LANG', 'LD_LIBRARY_PATH', 'NODE_OPTIONS']
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

export interface Serving extends AsyncDisposable {
  readonly url: string
  readonly running: RunningCli
  readonly configFile: string
  /** Replaces what the configuration file says; a reload is the caller's. */
  writeConfig(config: object): void
}

/** `sealift serve` on free ports, its data below `directory`, which outlives it. */
export async function startServe(directory: string, config: object = {}): Promise<Serving> {
  const configFile = join(directory, 'sealift.yaml')
  const writeConfig = (next: object): void =>
    writeFileSync(configFile, JSON.stringify({ ...BASE_CONFIG, dataDirectory: join(directory, 'data'), ...next }))
  writeConfig(config)
  const running = startCli(['serve', '--config', configFile])
  try {
    await until(
      'the server tells its address',
      () => running.stdout().includes('\n') || running.child.exitCode !== null,
    )
    const url = /^Sealift listens on (http:\S+)$/m.exec(running.stdout())?.[1]
    if (url === undefined) throw new Error(`the server did not start:\n${running.stderr()}`)
    return { url, running, configFile, writeConfig, [Symbol.asyncDispose]: () => running[Symbol.asyncDispose]() }
  } catch (error) {
    await running[Symbol.asyncDispose]()
    throw error
  }
}

const BASE_CONFIG = { listen: { port: 0 }, admin: { enabled: false } }

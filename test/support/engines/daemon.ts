/** Programs that run beside the tests, in a process of their own each, and end with the process that started them. */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { promisify } from 'node:util'

export interface Daemon {
  readonly pid: number
  readonly running: () => boolean
  /** Its last words, for the message of a failure. */
  readonly log: () => string
  /** Stands still until `resume`. */
  pause(): void
  resume(): void
  /** Resolves when the process is gone. */
  end(signal?: NodeJS.Signals): Promise<void>
}

const LOG_TAIL = 2000

export function startDaemon([program = '', ...args]: readonly string[], logFile: string): Daemon {
  const log = openSync(logFile, 'a')
  // Also when this process is killed, nothing of it stays behind.
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', program, ...args], { stdio: ['ignore', log, log] })
  closeSync(log)
  child.on('error', () => undefined)
  return {
    pid: child.pid as number,
    running: () => isRunning(child),
    log: () => readFileSync(logFile, 'utf8').slice(-LOG_TAIL),
    pause: () => void child.kill('SIGSTOP'),
    resume: () => void child.kill('SIGCONT'),
    async end(signal = 'SIGKILL') {
      if (!isRunning(child)) return
      const exited = once(child, 'exit')
      child.kill(signal)
      await exited
    },
  }
}

const isRunning = (child: ChildProcess): boolean => child.exitCode === null && child.signalCode === null

const COMMAND_TIMEOUT_MS = 60_000

/** @returns what it wrote to standard output @throws with what it wrote to standard error */
export async function runCommand(program: string, args: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(program, args, { timeout: COMMAND_TIMEOUT_MS })
  return stdout
}

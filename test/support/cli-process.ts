/** Runs the real command in a process of its own. */
import { spawn } from 'node:child_process'

import { cliCommand } from './cli-command.ts'
import { peakResidentBytes } from './process-facts.ts'

export interface CliRun {
  readonly exitCode: number | null
  readonly stdout: string
  readonly stderr: string
  /** The most memory seen, sampled 20 times a second. */
  readonly peakResidentBytes: number
}

export interface CliOptions {
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
}

export function runCli(args: readonly string[], options: CliOptions = {}): Promise<CliRun> {
  const [program, ...first] = cliCommand()
  const child = spawn(program, [...first, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...options.env },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  })
  const output = { stdout: '', stderr: '' }
  let peak = 0
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output.stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output.stderr += text))
  const sampler = setInterval(() => {
    try {
      if (child.pid !== undefined) peak = Math.max(peak, peakResidentBytes(child.pid))
    } catch {
      // It has just ended; the last sample stands.
    }
  }, 50)
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', exitCode => {
      clearInterval(sampler)
      resolve({ exitCode, ...output, peakResidentBytes: peak })
    })
  })
}
